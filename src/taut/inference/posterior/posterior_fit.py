"""The posterior of a program: a guide is fitted, its draws are weighed, and a verdict is given on them.

Where a guide is doubted and the scales of some latents move with others, another is fitted in
non-centred coordinates, and the one whose draws weigh more evenly is kept. All randomness follows from
one key, in this order: starts, optimization, the draws that are weighed, the same in non-centred
coordinates, and draws that are moved on from the guide to the posterior where its own do not suffice.
"""

import time
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import Datum, InputError, RunError, host_generator, option
from taut.evidence import PosteriorMoments, square_tails, weighted_moments
from taut.inference.posterior.candidate import Candidate
from taut.inference.posterior.guide_choice import GuideChoice, choose_guide
from taut.inference.posterior.multi_start import MultiStart
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.refinement import Refinement, TooDear, overlooked, refine
from taut.inference.posterior.verdict import DOUBT, RESAMPLE, Verdict, better_guide, judge
from taut.inference.posterior.weighted_draws import WeightedDraws, more_even
from taut.inference.posterior.within_edges import Task, affordable, fit_within_edges
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models.program import AbstractProgram, NamedValues, NumPyroProgram

__all__ = ["PosteriorFit", "fit_posterior"]

_MOST_WEIGHED = 1000  # coordinates: a covariance of a million entries
_FEW = 0.01  # of the guide's draws beyond an edge: their weight of zero leaves the others right


class PosteriorFit(NamedTuple):
    """What was found.

    Attributes:
        values: from z to the parameters that are reported; holds the program of all rows and its data.
        candidate: the guide that is kept, its family, and how it was fitted.
        draws: its weighted draws, with bounds and k-hat.
        raw: moments of every reported scalar under the guide.
        resampled: the same under the smoothed weights.
        verdict: whether to believe it.
        notes: what a reader should know.
        seconds: wall time of `ascent`, `weighing` and, where draws were moved, `refining`.
        refinement: the draws that were moved to the posterior, which `draws`, `resampled` and
            `verdict` are then about; None where the guide's own are kept.
    """

    values: NamedValues
    candidate: Candidate
    draws: WeightedDraws
    raw: PosteriorMoments
    resampled: PosteriorMoments
    verdict: Verdict
    notes: tuple[str, ...]
    seconds: dict[str, float]
    refinement: Refinement | None = None

    @property
    def guide(self) -> Any:
        """q(z), a callable pytree from a datum to a proposal."""
        return self.candidate.family.guide(self.candidate.fitted.guide)


def fit_posterior(
    program: AbstractProgram,
    datum: Datum,
    options: PosteriorOptions,
    *,
    key: PRNGKeyArray,
    stages: AbstractStages = UNKEPT,
) -> PosteriorFit:
    """Fit q(z) to p(z | x) by maximising the ELBO, and weigh draws of it.

    Arguments:
        program: p(x, z) of all rows, or of minibatches of a plate.
        datum: all data.
        options: what the user chose; `precision` is the caller's to set.
        key: everything random follows from it.
        stages: of the ascent.

    Raises:
        InputError: a guide that does not suit the program, or a program or data that cannot be used.
        RunError: no start has a finite ELBO, or the ELBO rises without end.
    """
    choice = choose_guide(options.guide, program.dim, subsampled=bool(options.subsample))
    task = Task(datum, host_generator(key), options, stages)
    found = _judged(choice, program, task)
    if options.subsample or options.refine == "none":
        return found
    if found.verdict.verdict == DOUBT and (other := _noncentred(found.values)) is not None:
        found = _better(found, choice, other, task)
    if options.refine == "auto" and found.verdict.verdict != DOUBT:
        if not overlooked(found.candidate, found.draws, task.generator).noticed:
            return found
        words = "wide draws find mass where no draw of the guide is"
        doubted = Verdict(DOUBT, (words, *found.verdict.reasons), better_guide(choice.family))
        found = found._replace(verdict=doubted)
    starts = found.candidate.starts
    endless = starts is not None and any(above > 0 for above in starts.endless)
    if endless and options.refine == "auto":
        return found
    return _refined(found, task.generator, options)


def _noncentred(values: NamedValues) -> NumPyroProgram | None:
    """The program in other coordinates, where it has some that suit funnels better."""
    model = values.model
    return model.noncentred(values.datum) if isinstance(model, NumPyroProgram) else None


def _better(
    found: PosteriorFit, choice: GuideChoice, program: NumPyroProgram, task: Task
) -> PosteriorFit:
    """A fit that is doubted, or that of non-centred coordinates where its draws weigh more evenly."""
    try:
        other = _judged(choice, program, task._replace(datum=found.values.datum))
    except (InputError, RunError):
        return found
    spent = {stage: found.seconds[stage] + other.seconds[stage] for stage in found.seconds}
    if other.verdict.verdict == DOUBT and not more_even(other.draws, found.draws):
        return found._replace(seconds=spent)
    names = ", ".join(sorted(program.reading.noncentred))
    note = f"the guide is over standard numbers in place of {names}: location and scale times these"
    return other._replace(seconds=spent, notes=(*other.notes, note))


def _judged(choice: GuideChoice, program: AbstractProgram, task: Task) -> PosteriorFit:
    """A guide with its weighted draws and the verdict on them."""
    model = _of_all_rows(choice, program, task.datum)
    found = fit_within_edges(choice, program, model, task)
    candidate, draws, notes, seconds = found.fitted
    tick = time.perf_counter()
    values = NamedValues.of(found.model, task.datum)
    table = values.table(draws.z)
    raw = weighted_moments(table[: draws.num_guide])
    resampled = weighted_moments(table, draws.weights)
    verdict = judge(
        guide=found.choice.family,
        converged=candidate.fitted.converged,
        precision_nats=task.options.precision_nats,
        separate=_separate(candidate.starts),
        endless=candidate.starts.endless if candidate.starts else (),
        khat=draws.khat,
        threshold=draws.threshold,
        largest=draws.largest,
        ess=draws.ess,
        num_draws=len(draws.weights),
        raw=raw.first(values.num_latents),
        resampled=resampled.first(values.num_latents),
        squares=square_tails(np.asarray(table)[:, : values.num_latents], draws.weights),
        names=values.coordinates,
    )
    if found.leaks:
        verdict = _leaking(verdict, draws.outside)
    seconds = {**seconds, "weighing": seconds["weighing"] + time.perf_counter() - tick}
    notes = (*notes, *found.notes(choice, model), *_left_out(values))
    return PosteriorFit(values, candidate, draws, raw, resampled, verdict, notes, seconds)


def _of_all_rows(choice: GuideChoice, program: AbstractProgram, datum: Datum) -> AbstractProgram:
    """p(x, z) of all rows, which is the program itself but for a guide by minibatches.

    Raises:
        InputError: more latent coordinates than draws are weighed in; minibatches of a program whose
            supports move with latents.
    """
    model = program
    if isinstance(program, NumPyroProgram) and choice.family == "structured":
        model = program.all_rows()
    if model.dim > _MOST_WEIGHED:
        raise InputError(
            f"a program with at most {_MOST_WEIGHED} latent coordinates", f"{model.dim}",
            "summing the rows' latents out of the program", where="infer",
        )  # fmt: skip
    if model is not program and jax.eval_shape(model.margins, datum, jnp.zeros(model.dim)).size:
        names = " and ".join(f"'{name}'" for name in sorted(model.moving))
        raise InputError(
            f"all rows at once where the support of {names} moves with latents", "minibatches",
            f"leaving out {option('subsample')}", where=model.name,
        )  # fmt: skip
    return model


def _leaking(verdict: Verdict, outside: float) -> Verdict:
    """The verdict where a share of the guide's draws lies beyond an edge of the posterior."""
    far = f"{100 * outside:.2g} % of the guide's draws lie beyond an edge of the posterior"
    kept = RESAMPLE if outside < _FEW and verdict.verdict != DOUBT else DOUBT
    return replace(verdict, verdict=kept, reasons=(far, *verdict.reasons))


def _refined(
    fit: PosteriorFit, generator: np.random.Generator, options: PosteriorOptions
) -> PosteriorFit:
    """The fit with draws that were moved to the posterior, or what kept them from it."""
    tick = time.perf_counter()
    found = refine(
        fit.candidate, fit.draws, fit.values, generator,
        num_draws=options.num_draws or affordable(fit.values.datum),
        asked=options.refine == "smc", remedy=better_guide(fit.candidate.choice.family),
    )  # fmt: skip
    seconds = {**fit.seconds, "refining": time.perf_counter() - tick}
    if isinstance(found, TooDear):
        note = (
            "the draws were not moved to the posterior: it takes "
            f"{found.gradients:.1g} gradients, and refine 'smc' has it done"
        )
        return fit._replace(seconds=seconds, notes=(*fit.notes, note))
    if found is None:
        reasons = (*fit.verdict.reasons, "the chains of tempered SMC did not reach the posterior")
        verdict = replace(fit.verdict, verdict=DOUBT, reasons=reasons)
        return fit._replace(seconds=seconds, verdict=verdict)
    own = fit.draws.num_guide
    moved = fit.draws._replace(
        z=np.concatenate([fit.draws.z[:own], found.draws.z]),
        weights=np.concatenate([np.zeros(own), found.draws.weights]),
        log_evidence=found.log_evidence, khat=found.draws.khat, threshold=found.threshold,
        largest=found.draws.largest, ess=found.ess,
    )  # fmt: skip
    return fit._replace(
        draws=moved, resampled=found.moments, verdict=found.verdict, seconds=seconds,
        refinement=found,
    )  # fmt: skip


def _left_out(values: NamedValues) -> tuple[str, ...]:
    if not values.left_out:
        return ()
    names = ", ".join(values.left_out)
    return (f"derived values of many cells are not reported: {names}",)


def _separate(starts: MultiStart | None) -> tuple[tuple[float, float], ...]:
    if starts is None:
        return ()
    others = (s for i, s in enumerate(starts.starts) if i != starts.winner)
    return tuple((start.behind.value, start.distance) for start in others)
