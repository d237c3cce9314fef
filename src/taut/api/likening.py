"""`fit.fidelity`: the rows that a fit's own are compared with, and the comparison."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from taut.api.auditing import rows_of_fit
from taut.core import Datum, InputError, as_key, host_seed, option
from taut.core.memory import within_memory
from taut.evidence.simulated import simulated
from taut.fitted import Fit
from taut.fitted.given_rows import as_array
from taut.models import LatentVariableModel
from taut.program_cache import compilation_cache

if TYPE_CHECKING:
    from taut.audit.fidelity import Fidelity

__all__ = ["fidelity"]

_FEW, _MANY = 1000, 10_000  # synthetic rows, by default as many as held-out ones between these


@compilation_cache()
def fidelity(
    fit: Fit,
    data: Any = None,
    *,
    held_out: Any = None,
    synthetic: Any = None,
    num_samples: int | None = None,
    key: Any = 0,
) -> "Fidelity":
    """How like real rows the rows are that the fit makes, and whether it remembers training rows.

    Arguments:
        data: a `Data`, whose training and test rows are taken, or the training rows; None loads the data
            of the recipe again.
        held_out: rows that the fit has not seen, where `data` are the training rows alone.
        synthetic: rows to compare in place of the fit's own samples, in the same columns.
        num_samples: rows to draw, where counts are given the totals of their rows at those of training
            rows; None for as many as there are held-out rows, between 1,000 and 10,000.
        key: whole number or random key.

    Returns:
        a `Fidelity`: shapes of columns, trends of pairs, a classifier two-sample test, each with what
        training rows reach, and the nearest real rows.

    Raises:
        InputError: no data or no held-out rows; no table; fewer than ten rows of a kind; counts that
            hardly ever come to these totals.
    """
    from taut.audit.fidelity import fidelity_of

    if fit.schema.kind != "table":
        raise InputError(
            "a table", f"rows of shape {fit.schema.shape}", "auditing the fit", where="fidelity"
        )
    train, test = rows_of_fit(fit, data, held_out, where="fidelity")
    if synthetic is None:
        count = min(max(len(test.x), _FEW), _MANY) if num_samples is None else num_samples
        made = _made(fit, train, count, key)
    elif num_samples is not None:
        raise InputError(
            f"{option('synthetic')} or {option('num_samples')}",
            "both",
            "one of them",
            where="fidelity",
        )
    else:
        made = np.asarray(as_array(synthetic, fit)[0])
    names = fit.schema.columns or [f"x{i}" for i in range(fit.schema.size)]
    return fidelity_of(
        made, np.asarray(train.x), np.asarray(test.x), fit.schema,
        names=names, generator=np.random.default_rng(host_seed(as_key(key))),
    )  # fmt: skip


def _made(fit: Fit, train: Datum, count: int, key: Any) -> Float[np.ndarray, "M D"]:
    """Rows of the fit, as many; given their totals they have those, and the holes, of training rows."""
    model = fit.model
    if not (isinstance(model, LatentVariableModel) and model.likelihood.given_totals):
        return np.asarray(fit.sample(count, key=key))
    with jax.enable_x64(fit.precision == "float64"), within_memory(num_samples=count):
        own = f"rows that are made otherwise as {option('synthetic')}"
        rows = simulated(model, train, count, key=as_key(key), instead=own).rows
    seen = True if rows.mask is None else rows.mask
    return np.where(seen, np.asarray(rows.x), np.nan)
