"""The page of `taut audit`: one screen of numbers, and what they come to."""

import math
from collections.abc import Mapping

import numpy as np
from rich.console import Console

from taut.audit import Audit, Gaps
from taut.audit.holes import Holes
from taut.core import Estimate
from taut.errors import Door, worded
from taut.evidence import Evidence
from taut.report.numbers import cells, percent, worst_khats
from taut.report.tables import _print_line, _print_notes, _print_table, facts_table
from taut.report.words import method_words

__all__ = ["audit_page", "gained", "looked_at"]

_ROWS_SHOWN = 3
_KLS_SHOWN = 4
_HEADINGS = ["", "value", "± draws", "± rows", "side"]


def audit_page(
    console: Console, audit: Audit, *, door: Door = "Python", of: str | None = None
) -> None:
    """Print an audit.

    Arguments:
        console: where to print.
        audit: what was found.
        door: whose words remedies are in.
        of: as of `looked_at`.
    """
    rows = [*_gap_rows("held-out", audit.held_out), *_gap_rows("training", audit.train)]
    _print_table(console, [f"gap, nats per row{'':6}", *_HEADINGS[1:]], rows, words=(0, 4))
    seen = looked_at(audit.held_out.elbo.count, audit.train.elbo.count, of)
    _print_line(console, f"Means over {seen}.")
    if audit.held_out.undivided:
        _print_line(console, f"The gap is not divided: {audit.held_out.undivided}.")
    parts = audit.surgery
    surgery = [("ELBO", parts.elbo), ("reconstruction", parts.reconstruction)]
    bracketed = parts.mutual_information.side == "lower"
    surgery += [("- mutual information, z and x", parts.mutual_information)]
    surgery += [("  its upper end", parts.mutual_information_upper)] if bracketed else []
    surgery += [("- marginal KL, q_agg to p", parts.marginal_kl)]
    surgery += [("  its lower end", parts.marginal_kl_lower)] if bracketed else []
    if parts.total_correlation is not None:
        surgery.append(("  of it total correlation", parts.total_correlation))
    table = [_row(name, estimate) for name, estimate in surgery]
    _print_table(console, ["ELBO of training rows", *_HEADINGS[1:]], table, words=(0, 4))
    facts_table(console, "latents", _latents(audit))
    facts_table(console, "reliability", _reliability(audit))
    _print_notes(console, [*audit.notes, *([audit.without_holes] if audit.without_holes else [])])
    _print_verdict(console, audit, door)
    for trial in audit.trials:
        _print_line(
            console, f"tried for {trial.name}: {trial.what}, {gained(trial.gains, trial.why)}."
        )


def looked_at(held_out: int, training: int, of: str | None) -> str:
    """The rows of an audit, in words.

    Arguments:
        held_out: how many held-out rows were looked at one by one.
        training: how many training rows.
        of: file of the held-out rows; `test` for the test rows of the run, None where it is not known.
    """
    where = {None: "", "test": " of the run's test rows"}.get(of, f" of {of}")
    return f"{held_out} held-out rows{where} and {training} training rows"


def gained(gains: Mapping[str, Estimate], why: str) -> str:
    """What a remedy gained, in words; arguments as of `taut.audit.Trial`."""
    if why:
        return f"but {why}"
    words = [
        f"{gain.value:+.3g} nats of {what} (± {_error(gain):.2g})"
        for name, what in (("elbo", "ELBO"), ("log_evidence", "log-evidence"))
        for gain in [gains.get(name)]
        if gain is not None
    ]
    return f"{' and '.join(words)} on held-out rows"


def _error(gain: Estimate) -> float:
    """Over draws and rows together, as far as known."""
    known = [e for e in (gain.mc_error, gain.data_error) if math.isfinite(e)]
    return math.hypot(*known) if known else math.nan


def _gap_rows(part: str, gaps: Gaps) -> list[tuple[str, ...]]:
    named = [
        (f"{part}: evidence - ELBO", gaps.total),
        ("  encoder (amortization)", gaps.amortization),
        ("  family (approximation)", gaps.approximation),
    ]
    return [_row(name, estimate) for name, estimate in named if estimate is not None]


def _row(name: str, estimate: Estimate) -> tuple[str, ...]:
    shown = cells(estimate)
    return name, shown.value, shown.draws, shown.rows, shown.side


def _latents(audit: Audit) -> dict[str, str]:
    use, shared, ceiling = audit.use, audit.overlap, audit.surgery.ceiling
    rows = round(math.exp(ceiling))
    near = ", ".join(f"{n.row} to {n.other}" for n in shared.nearest(_ROWS_SHOWN))
    facts = {
        "active dimensions": f"{use.num_active} of {len(use.moved)}: over 1 % of the variance is "
        "between rows",
        "KL by dimension": _informative(use.num_with_kl) + _largest(use.kls),
        "most information": f"log N = {ceiling:.2f} nats, if z names which of {rows} rows",
        "rows alike to z": f"{shared.effective_rows.value:.3g} of {rows}",
        "nearest rows": near,
        "another row is likelier": f"for {percent(shared.larger_elsewhere.value)} of draws",
    }
    if audit.holes is not None:
        found = audit.holes
        share = f"{percent(found.share.value)} ± {100 * found.share.mc_error:.1f}"
        facts["holes of the prior"] = f"{share} of its draws; 1 % if it fits"
        facts["prior and posteriors"] = (
            f"{_apart(audit, found)}, p = {found.two_sample.p_value:.2g}"
        )
        facts["q_agg as the prior"] = f"{found.gain.value:+.3g} nats on held-out rows"
    return facts


def _apart(audit: Audit, found: Holes) -> str:
    """What the two-sample test says, which is weaker than the gain of another prior over many rows."""
    if found.two_sample.differ:
        return "differ"
    if any(finding.name == "prior" for finding in audit.findings):
        return "differ by less than a test of draws sees"
    return "not told apart"


def _informative(count: int | None) -> str:
    return "" if count is None else f"{count} with 0.1 nats or more; "


def _largest(kls: tuple[Estimate, ...]) -> str:
    values = sorted((k.value for k in kls), reverse=True)
    shown = ", ".join(f"{v:.2g}" for v in values[:_KLS_SHOWN])
    return f"KL {shown}{', ...' if len(values) > _KLS_SHOWN else ''} nats"


def _reliability(audit: Audit) -> dict[str, str]:
    evidence = audit.evidence
    ess = evidence.known_ess
    return {
        "log-evidence by": method_words(audit.method, at_random=evidence.at_random),
        **(_khats(evidence) if evidence.at_random else {}),
        "effective draws": f"{np.median(ess):.0f} of {evidence.num_particles}, median"
        if ess.size
        else "unknown"
        if evidence.at_random
        else "none at random",
    }


def _khats(evidence: Evidence) -> dict[str, str]:
    unknown = np.isnan(evidence.khat).any()
    return {
        "k-hat": f"{percent(evidence.share_unreliable)} of held-out rows above "
        f"{evidence.khat_threshold:.2f}" + (", or unknown" if unknown else ""),
        "worst rows": worst_khats(evidence, _ROWS_SHOWN)
        or ("unknown" if unknown else "none, weights without a tail"),
    }


def _print_verdict(console: Console, audit: Audit, door: Door) -> None:
    if not audit.findings:
        facts_table(
            console, "verdict", {"nothing": "no loss above a tenth of a nat and its errors"}
        )
        return
    first = True
    for finding in audit.findings:
        if first:
            facts_table(console, "verdict", {})
        loss = "" if finding.loss is None else f" {finding.loss.value:.3g} nats:"
        _print_line(
            console,
            f"{'largest' if first else 'then'}: {finding.name},{loss} {finding.says}. "
            f"Try {worded(finding.remedy, door)}.",
        )
        first = False
