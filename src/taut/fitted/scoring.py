"""Anomaly scores: how improbable rows are under a fit, and among rows that it was not fitted to.

    score       -log p(x) of the observed cells                                     nats
    quantile    #{held-out scores below the row's} / (n + 1),   n held-out rows

A row from where the held-out rows came from has a quantile of 1 - a or more with probability a at most,
whatever the model, for a among the multiples of 1 / (n + 1) (conformal p-values: Bates, Candes, Lei,
Romano and Sesia 2023, section 2). That is as fine as n rows can tell. Missing cells count for nothing: a
row with few cells has a low score, and is comparable with rows that lack as many.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from taut.core import Datum, Estimate, InputError, as_key, num_rows
from taut.evidence.surprise import excess_surprise
from taut.fitted.fit import Fit
from taut.fitted.given_rows import as_datum
from taut.fitted.own_evidence import own_evidence
from taut.fitted.training_rows import training_notes
from taut.models import AbstractExactModel
from taut.program_cache import compilation_cache

__all__ = ["Scores", "score"]

_WIDEST = 128  # columns: each asks for the evidence of every row without it


@dataclass(frozen=True, eq=False)
class Scores:
    """Anomaly scores of N rows.

    Attributes:
        score: -log p(x) of each row in `values`, nats; exact, or an upper bound in expectation where
            log p(x) has a lower one.
        quantile: among the held-out rows, (N,), from 0 to n / (n + 1).
        held_out: n, how many there are.
        khat: of the draws behind each score, (N,); None where none is at random.
        errors: standard error of each score over other draws, nats, (N,); None likewise.
        excess: (N, D), by how many nats each cell is less probable given the rest of its row than the
            model expects of its column; None of models without exact conditionals.
        notes: what a reader should know, a sentence each.
    """

    score: Estimate
    quantile: Float[np.ndarray, " N"]
    held_out: int
    khat: Float[np.ndarray, " N"] | None = None
    errors: Float[np.ndarray, " N"] | None = None
    excess: Float[np.ndarray, "N D"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def resolution(self) -> float:
        """1 / (n + 1), the least difference between two quantiles."""
        return 1 / (self.held_out + 1)


@compilation_cache()
def score(fit: Fit, rows: Any, *, held_out: Any = None, key: Any = 0) -> Scores:
    """How odd each row is: -log p(x), its quantile among held-out rows, and the cells that make it odd.

    Arguments:
        rows: a `Dataset`, an array or a data frame, in the data's own units.
        held_out: rows that the fit was not fitted to; None for the scores of its test rows, as they were
            at the end of the fit. All are estimated by the method that measured the fit.
        key: whole number or random key of what is drawn.

    Raises:
        InputError: rows that do not fit the schema; a fit that holds no scores of test rows.
    """
    given = as_datum(rows, fit)
    own, beside = _estimated(fit, given, key)
    if held_out is None:
        reference = _of_test_rows(fit)
    else:
        others = as_datum(held_out, fit)
        reference = _by_row(_estimated(fit, others, key)[0])
    below = np.searchsorted(np.sort(reference), _by_row(own), side="left")
    wide = fit.schema.kind != "table" or fit.schema.size > _WIDEST
    if not wide and isinstance(fit.model, AbstractExactModel):
        with jax.enable_x64(fit.precision == "float64"):
            beside["excess"] = excess_surprise(fit.model, given, key=as_key(key))
    notes = (*training_notes(fit, given), *_notes(given, excess="excess" in beside))
    return Scores(own, below / (len(reference) + 1), len(reference), notes=notes, **beside)


def _notes(rows: Datum, *, excess: bool) -> tuple[str, ...]:
    """What rows with missing cells are compared with."""
    if rows.mask is None:
        return ()
    seen = np.asarray(rows.mask).reshape(num_rows(rows), -1)
    count = int((~seen.all(axis=1)).sum())
    if not count:
        return ()
    words = "1 row has" if count == 1 else f"{count:,} rows have"
    of_cells = ", and the excess of a cell over whole rows" if excess else ""
    return (
        f"{words} missing cells: the score is of the others alone, but its quantile is among held-out "
        f"rows as they are{of_cells}",
    )


def _estimated(fit: Fit, rows: Datum, key: Any) -> tuple[Estimate, dict[str, np.ndarray]]:
    """-log p(x), and of what was drawn k-hats and errors."""
    exact = own_evidence(fit, rows)
    if exact is not None:
        return _negated(exact), {}
    method = fit.facts.evidence_method or "importance"
    found = fit.evaluate(rows, method=method, num_particles=fit.facts.particles, key=key)
    estimate = _negated(found.log_evidence)
    if not found.at_random or found.errors is None:
        return estimate, {}
    return estimate, {"khat": found.khat, "errors": found.errors}


def _of_test_rows(fit: Fit) -> np.ndarray:
    known = fit.estimates.get("log_evidence")
    if known is None or known.values is None:
        raise InputError(
            "a fit that holds the log-evidence of its test rows", "none",
            "`fit.score(rows, held_out=others)` with rows that it was not fitted to", where="score",
        )  # fmt: skip
    return -known.values


def _by_row(estimate: Estimate) -> np.ndarray:
    assert estimate.values is not None  # one that was made of rows just now
    return estimate.values


def _negated(log_evidence: Estimate) -> Estimate:
    return log_evidence.scaled(-1.0, unit="nats per row")
