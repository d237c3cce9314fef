"""`fit.audit`: the rows that a fit is audited on, and the audit."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax

from taut.core import Datum, InputError, as_key, num_rows
from taut.data import Data, Dataset, RowSource
from taut.fitted import Fit
from taut.fitted.given_rows import as_datum, as_drawn
from taut.fitted.own_data import load_own_data, refuse_another_split
from taut.program_cache import compilation_cache

if TYPE_CHECKING:
    from taut.audit import Audit

__all__ = ["audit", "rows_of_fit"]

_TRIALS = 2**32 - 3  # a number that no row has
_MOST_READ = 20_000  # rows of those that stay on disk, at random: a file may be sorted


@compilation_cache()
def audit(
    fit: Fit,
    data: Any = None,
    *,
    held_out: Any = None,
    rows: int = 500,
    try_remedies: bool = False,
    key: Any = 0,
) -> "Audit":
    """Where the ELBO of the fit loses nats, and what to try.

    Arguments:
        data: a `Data`, whose training and test rows are taken, or the training rows; None loads the data
            of the recipe again.
        held_out: rows that the fit has not seen, where `data` are the training rows alone.
        rows: rows of each kind that are looked at one by one, at random.
        try_remedies: also try what can be tried without another fit: a Gaussian fitted to each held-out
            row, another prior; `trials` of the result say what it gained.
        key: whole number or random key.

    Returns:
        an `Audit`, with the gaps of training and held-out rows, the parts of the ELBO, the use of the
        latents, and `findings`.

    Raises:
        InputError: no data or no held-out rows; data that have changed since the fit, or that hold out
            rows that were trained on; a model that has no gap to divide.
    """
    from taut.api.trying import rows_looked_at, tried
    from taut.audit import audit_fit

    with jax.enable_x64(fit.precision == "float64"):
        if data is None:
            data = load_own_data(fit, where="audit")
        train, test = rows_of_fit(fit, data, held_out, where="audit")
        found = audit_fit(fit, train, test, key=as_key(key), num_rows_each=rows)
        if isinstance(data, Data) and num_rows(train) < len(data.train):
            some = (
                f"{num_rows(train)} of {len(data.train)} training rows, drawn at random, stand for all, "
                "as these stay on disk"
            )
            found = replace(found, notes=(*found.notes, some))
        if not try_remedies:
            return found
        looked = rows_looked_at(test, found.evidence.index)
        trials = tried(
            fit, found.findings, data, looked, key=jax.random.fold_in(as_key(key), _TRIALS)
        )
        return replace(found, trials=trials)


def rows_of_fit(fit: Fit, data: Any, held_out: Any, *, where: str) -> tuple[Datum, Datum]:
    """Training and held-out rows.

    Arguments:
        data, held_out: as of `audit`.
        where: the method of the fit that is asked, for the message.

    Raises:
        InputError: see `audit`.
    """
    if data is None:
        data = load_own_data(fit, where=where)
    if isinstance(data, Data):
        refuse_another_split(fit, data, where=where)
        test = data.test if held_out is None else held_out
        return as_drawn(_in_memory(data.train), fit).datum(), as_datum(test, fit)
    if held_out is None:
        raise InputError(
            "held-out rows beside the training rows", "training rows alone",
            f"fit.{where}(rows, held_out=...), or a Data that has both", where="held_out",
        )  # fmt: skip
    both = (as_datum(rows, fit) for rows in (data, held_out))
    return next(both), next(both)


def _in_memory(rows: RowSource) -> Dataset:
    """The rows, or some of those that stay on disk."""
    return rows if isinstance(rows, Dataset) else rows.sample(_MOST_READ)
