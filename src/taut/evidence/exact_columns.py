"""Independent columns beside a model with exact evidence, in closed form.

    Gaussian columns    mean m_d, variance N (v_d + e v_d) / (N + 1),    e = 1e-6
    tables              (n_v + 1) / (N + V) for V values

These are the maxima of the penalised likelihood of one component with independent columns, with the
default floors of `GMM` and `LCA`: a pseudo-row of e N times the spread, and Laplace's rule.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.architectures import GMM, LCA
from taut.core import Datum, Estimate, InputError
from taut.evidence.independent_columns import smoothed_histogram
from taut.models import AbstractExactModel, LatentClass

__all__ = ["exact_columns"]


def exact_columns(model: AbstractExactModel, train: Any, held_out: Datum) -> Estimate:
    """Held-out log-likelihood of independent columns, nats per row; exact.

    Arguments:
        model: tells densities of numbers from tables of values.
        train: rows that the marginals are fitted to, (N, *shape).
        held_out: rows that they are judged on.

    Raises:
        InputError: rows that are all equal have no density.
    """
    rows, test = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (train, held_out.x))
    if isinstance(model, LatentClass):
        cells = smoothed_histogram(
            rows, test, model.log_theta.shape[2], grid=model.top, pseudo=LCA.default_floor
        )
    else:
        cells = _gaussian(rows, test)
    if held_out.mask is not None:
        cells = np.where(np.asarray(held_out.mask).reshape(cells.shape), cells, 0.0)
    return Estimate.from_rows(cells.sum(axis=1), side="exact", index=held_out.index)


def _gaussian(
    rows: Float[np.ndarray, "N D"], test: Float[np.ndarray, "M D"]
) -> Float[np.ndarray, "M D"]:
    mean, spread = rows.mean(axis=0), rows.var(axis=0)
    if not spread.any():
        raise InputError(
            "rows that differ", f"{len(rows)} identical ones", "data with some variation",
            where="columns alone",
        )  # fmt: skip
    # A column that is constant takes the mean spread into its floor, as in `GaussianMixture.floor`.
    known = np.where(spread > 0, spread, spread.mean())
    variance = len(rows) * (spread + GMM.default_floor * known) / (len(rows) + 1)
    return -0.5 * (np.log(2 * math.pi * variance) + (test - mean) ** 2 / variance)
