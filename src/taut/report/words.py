"""Facts in words, line by line as the terminal shows them, and the names of estimates."""

from taut.errors import counted
from taut.fitted.facts import EMFacts, FitFacts, PosteriorFacts, RowCounts

__all__ = [
    "ESTIMATES",
    "METHODS",
    "POSTERIOR_ESTIMATES",
    "fact_words",
    "method_words",
    "posterior_words",
    "total_words",
]

ESTIMATES = {
    "elbo": "held-out ELBO",
    "reconstruction": "reconstruction",
    "kl": "KL(q to prior)",
    "log_evidence": "log-evidence",
    "independent_columns": "columns alone",
    "bits_per_dimension": "bits/dimension",
    "accuracy": "accuracy of the target",
    "target_nll": "NLL of the target",
    "ece": "calibration error",
    "rmse": "RMSE of the target",
    "coverage": "90 % intervals cover",
}

METHODS = {
    "importance": "importance sampling from the guide",
    "monte-carlo": "naive Monte Carlo from the prior",
    "refined": "importance sampling from a Gaussian fitted to each row",
    "refined-annealed": "annealed importance sampling from a Gaussian fitted to each row",
    "refined-quadrature": "Gauss-Hermite quadrature around a Gaussian fitted to each row",
    "quasi-monte-carlo": "randomised quasi-Monte Carlo through the guide",
    "annealed": "annealed importance sampling",
    "smc": "tempered sequential Monte Carlo",
    "bridge": "bridge sampling between the guide and draws of the posterior",
    "bidirectional": "bidirectional Monte Carlo",
}

_SUMMED = "the sum over all outcomes of the guide"
_SHOWN = 5  # components that are listed one by one
_ALONE = 1.5  # rows: that a component with fewer holds one is all that can be said

POSTERIOR_ESTIMATES = {
    "elbo": "ELBO",
    "log_evidence": "log-evidence",
    "remaining_gain": "gain that remains",
}


def fact_words(facts: FitFacts) -> dict[str, str]:
    """What is known of a fit, without its notes."""
    seconds = {
        "training seconds": f"{round(facts.training_seconds, 2)}",
        "evaluation seconds": f"{round(facts.evaluation_seconds, 2)}",
        "device": facts.device,
    }
    rows = {"rows": _rows(facts.rows)}
    if facts.em is not None:
        return {**rows, **_course(facts.em, facts.steps), **seconds, **_chosen(facts.em)}
    words = {
        **rows,
        "steps": f"{facts.steps}",
        "best step": f"{facts.best_step}",
        **seconds,
        "versions": facts.versions,
        "particles": "" if facts.particles is None else f"{facts.particles}",
        "log-evidence by": method_words(
            facts.evidence_method, at_random=facts.particles is not None
        ),
        **{f"{choice} chosen because": reason for choice, reason in facts.reasons.items()},
    }
    if facts.totals:
        words["totals of rows"] = total_words(facts)
    if facts.gradient is not None:
        words["gradient"] = f"{facts.gradient.name}: {facts.gradient.why}"
    if facts.code_use is not None:
        use = facts.code_use
        words["codes"] = (
            f"perplexity {use.perplexity:.1f} of {use.codes}, {use.used} used "
            f"({use.used / use.codes:.0%}), {use.codes - use.used} dead, on {counted(use.rows, 'row')}"
        )
    words["objective differs from the bound"] = facts.objective_departure
    words["gradient differs from the bound's"] = facts.gradient_departure
    return {name: text for name, text in words.items() if text}


def posterior_words(facts: PosteriorFacts) -> dict[str, str]:
    """What is known of a posterior, without its notes."""
    words = {
        "verdict": facts.verdict,
        "program": facts.program,
        "guide": " ".join(filter(None, (facts.family, facts.layers))),
        "coordinates": f"{facts.coordinates}",
        "k-hat": f"{round(facts.khat, 3)}",
        "k-hat of the guide alone": f"{round(facts.guide_khat, 3)}",
        "k-hat threshold": f"{round(facts.khat_threshold, 3)}",
        "effective draws": f"{facts.effective_draws:.0f} of {facts.num_draws}",
    }
    if facts.refined is not None:
        how = facts.refined
        words["refined by"] = (
            f"tempered SMC, {how.runs} runs of {how.chains} chains over "
            f"{counted(how.temperatures, 'temperature')}, acceptance {how.acceptance:.2f}"
        )
    if facts.steps is not None:
        words["steps"] = f"{facts.steps}"
    if facts.starts is not None:
        words["starts"] = f"{facts.starts.climbed}, number {facts.starts.winner + 1} was highest"
    return words | {f"seconds of {stage}": f"{round(s, 3)}" for stage, s in facts.seconds.items()}


def method_words(name: str, *, at_random: bool = True) -> str:
    """What an evidence method does.

    Arguments:
        name: of the method; handed back where it is not known.
        at_random: whether it drew; importance sampling from a guide of few outcomes sums them instead.
    """
    return METHODS.get(name, name) if at_random or name != "importance" else _SUMMED


def total_words(facts: FitFacts) -> str:
    """The totals of training rows that a model of counts is given."""
    totals = facts.totals
    return f"{totals[0]:,.0f} to {totals[-1]:,.0f}, median {totals[len(totals) // 2]:,.0f}"


def _rows(counts: RowCounts) -> str:
    return f"{counts.train} train, {counts.validation} validation, {counts.test} test"


def _course(em: EMFacts, steps: int) -> dict[str, str]:
    words = {"components": f"{em.components}"}
    if em.start_rows is not None:
        return words | {"batches": f"{steps}", "rows of the start": f"{em.start_rows}"}
    words["iterations"] = f"{steps}"
    if em.converged is not None:
        words["converged"] = "yes" if em.converged else "no: the iterations ran out"
    if em.starts:
        words["objective of each start"] = ", ".join(f"{end:.4f}" for end in em.starts)
    return words | _held(em)


def _held(em: EMFacts) -> dict[str, str]:
    """The first components whose spread the floor decides."""
    words: dict[str, str] = {}
    for one in em.held_apart[:_SHOWN]:
        if one.component is None:
            words["floor"] = f"decides the spread in {counted(one.directions, 'direction')}"
        elif one.rows < _ALONE:
            words[f"component {one.component}"] = (
                f"held apart by the floor, around row {one.row} alone"
            )
        else:
            words[f"component {one.component}"] = (
                f"spread decided by the floor in {counted(one.directions, 'direction')}, "
                f"over {one.rows:.0f} rows"
            )
    more = len(em.held_apart) - _SHOWN
    return words | ({"and by the floor": f"{counted(more, 'more component')}"} if more > 0 else {})


def _chosen(em: EMFacts) -> dict[str, str]:
    sampled = em.start_rows is not None
    words = {
        "free parameters": f"{em.free_parameters}",
        f"BIC, {'from a sample' if sampled else 'training rows'}": f"{round(em.bic, 3)}",
    }
    return words if em.chosen_by is None else words | {"components chosen by": em.chosen_by}
