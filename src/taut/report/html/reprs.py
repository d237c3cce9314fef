"""What notebooks show of results: their numbers with side and both errors, in a few lines of HTML."""

from typing import Any

import numpy as np

from taut.audit import Audit
from taut.core import Estimate, counted
from taut.data import Data, cell_words
from taut.evidence import Evidence
from taut.fitted import Fit, Posterior
from taut.report.audit import looked_at
from taut.report.html.audited import audit as audited
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import hint
from taut.report.html.numbers import estimates, table
from taut.report.numbers import cells, percent
from taut.report.posterior import digits_of, number
from taut.report.words import ESTIMATES, POSTERIOR_ESTIMATES

__all__ = ["audit", "data", "estimate", "evidence", "fit", "posterior"]

_COLUMNS, _COORDINATES, _NOTES = 12, 10, 5


def estimate(found: Estimate) -> Markup:
    """An estimate in one line."""
    shown = cells(found)
    draws = joined(" ± ", shown.draws, " ", hint("(draws)", meaning="± draws"))
    rows = joined(" ± ", shown.rows, " ", hint("(rows)", meaning="± rows"))
    return element(
        "span", element("strong", shown.value), draws if found.mc_error != 0 else None,
        None if shown.rows == "-" else rows, f" {shown.unit}, ", hint(shown.side, meaning="side"),
    )  # fmt: skip


def fit(found: Fit) -> Markup:
    """A fit: what it is and its numbers."""
    said = f"{found.architecture.name} of {found.schema.name}"
    rows, steps = counted(found.facts.rows.train, "row"), counted(found.facts.steps, "step")
    trained = f"{rows} trained on, {steps}"
    named = {ESTIMATES.get(name, name): number for name, number in found.estimates.items()}
    measured = estimates(named, caption=trained, word=hint) if named else element("p", trained)
    return _block("Fit", said, measured, _notes(found.facts.notes))


def posterior(found: Posterior) -> Markup:
    """A posterior: its verdict, its first coordinates, its bounds."""
    moments = found.resampled
    names = found.coordinates[:_COORDINATES]
    rows = []
    for i, name in enumerate(names):
        mean, sd = float(moments.mean[i]), float(moments.sd[i])
        error, of_sd = float(moments.mean_error[i]), float(moments.sd_error[i])
        few, fewer = digits_of(error, sd), digits_of(of_sd, sd)
        rows.append((
            name, f"{number(mean, few)} ± {number(error, few)}",
            f"{number(sd, fewer)} ± {number(of_sd, fewer)}",
            *(number(float(q), few) for q in moments.quantiles[i]),
        ))  # fmt: skip
    heads = ("", hint("mean"), hint("sd"), *(f"{100 * p:g} %" for p in moments.probabilities))
    left = len(found.coordinates) - len(names)
    caption = "Weighted draws; ±: standard error over other draws"
    named = {POSTERIOR_ESTIMATES.get(n, n): e for n, e in found.estimates.items()}
    return _block(
        "Posterior",
        " ".join(filter(None, (found.model.name, found.family, found.layers))),
        element("p", str(found.verdict)),
        table(heads, rows, caption=caption),
        element("p", f"{counted(left, 'more coordinate')}.") if left else None,
        estimates(named, caption="Nats in all", word=hint),
        _notes(found.notes),
    )


def evidence(found: Evidence) -> Markup:
    """An evidence: its numbers, and how far they can be trusted."""
    named = {
        "log-evidence": found.log_evidence, "ELBO": found.elbo,
        "reconstruction": found.reconstruction, "KL(q to prior)": found.kl,
    }  # fmt: skip
    if found.upper is not None:
        named["upper end"] = found.upper
    ess = found.known_ess
    trust = joined(
        f"{percent(found.share_unreliable)} of rows with a ", hint("k-hat"),
        f" above {found.khat_threshold:.2f}, or with a part missed",
        joined(
            "; median ", hint("ESS"),
            f" {np.median(ess):.1f} of {counted(found.num_particles or 0, 'draw')}",
        )
        if ess.size else None, ".",
    )  # fmt: skip
    said = counted(found.log_evidence.count, "row")
    return _block(
        "Evidence", said, estimates(named, caption="Nats per row", word=hint),
        element("p", trust) if found.at_random else None, _notes(found.notes),
    )  # fmt: skip


def audit(found: Audit) -> Markup:
    """An audit: what it comes to, the gaps and the parts of the ELBO."""
    said = looked_at(found.held_out.elbo.count, found.train.elbo.count, None)
    return _block("Audit", said, audited(found.to_dict(), word=hint))


def data(found: Data) -> Markup:
    """A data set: its parts and its columns."""
    schema = found.schema
    rows: list[tuple[Any, ...]] = []
    names = schema.columns or tuple(f"x{i}" for i in range(schema.size))
    if schema.kind == "table":
        constants = dict(schema.constants())
        for i, name in enumerate(names[:_COLUMNS]):
            kind = schema.kinds[i].kind if schema.kinds else schema.support
            always = f"always {cell_words(schema, i, constants[i])}" if i in constants else None
            rows.append((name, always or kind))
    left = schema.size - len(rows) if rows else 0
    form = f"{schema.kind} of shape {' x '.join(map(str, schema.shape))}, {schema.support}"
    return _block(
        "Data", f"{schema.name}: {found.describe()}", element("p", form),
        table(("", "kind"), rows, caption="Columns", words=(0, 1)) if rows else None,
        element("p", f"{counted(left, 'more column')}.") if left else None, _notes(found.notes),
    )  # fmt: skip


def _block(kind: str, said: str, *parts: Markup | None) -> Markup:
    return element("div", element("p", element("strong", kind), f" {said}"), *parts)


def _notes(notes: tuple[str, ...]) -> Markup | None:
    left = len(notes) - _NOTES
    more = [f"{counted(left, 'more note')}."] if left > 0 else []
    lines = [element("li", note) for note in [*notes[:_NOTES], *more]]
    return element("ul", lines) if lines else None
