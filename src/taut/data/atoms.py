"""Atoms: the values of a column of numbers that recur more often than a smooth density has them.

With n rows, n_j of them at v_j and n_0 elsewhere, and f the column's own normal, log-normal or negative
binomial density, V atoms gain

    sum_j n_j log(n_j / (n h f(v_j))) + n_0 log(n_0 / n)        nats,

h the step between values, 1 of a count. They are kept where that is more than (V / 2) log n, as the
Bayesian information criterion has it: 0 in a column of gains, 40 among hours a week, and every value of
a number that takes only a few.
"""

import math

import numpy as np
from jaxtyping import Float

from taut.data.moments import mean_and_variance
from taut.data.resolution import resolution

__all__ = ["atoms_of"]

_ROWS = 5  # fewer rows than that at one value may meet there by chance
_SHARE = 1 / 5000  # of the rows, at one value
_MOST = 255  # atoms
_COVERED = 0.05  # of the rows, by all atoms: a column with fewer is smooth


def atoms_of(
    values: Float[np.ndarray, " n"], kind: str, weight: Float[np.ndarray, " n"] | None = None
) -> tuple[tuple[float, ...], float]:
    """The atoms of a column, rising, and its step h; none, and 0, for a column that has none.

    Arguments:
        values: of the training rows that have one, data units.
        kind: `real`, `positive` or `count`.
        weight: how often each row counts; once when None.
    """
    values = values.astype(np.float64)
    weight = np.ones(len(values)) if weight is None else weight
    found, place = np.unique(values, return_inverse=True)
    number, rows = np.bincount(place, weight), float(weight.sum())
    often = np.sort(np.argsort(-number, kind="stable")[:_MOST])
    often = often[number[often] >= max(_ROWS, _SHARE * rows)]
    atoms, number = found[often], number[often]
    if number.sum() < _COVERED * rows or len(found) < 2:
        return (), 0.0
    step = 1.0
    if kind != "count":
        step = float(resolution(values[:, None], weight)[0])
        step = min(step, float(np.diff(atoms).min(initial=np.inf)))
    if not step > 0:  # values that differ by rounding alone
        return (), 0.0
    # A sum of weights that are not whole may miss nothing by rounding alone.
    rest = rows - number.sum() if len(atoms) < len(found) else 0.0
    smooth = math.log(step) + _log_density(values, weight, atoms, kind)
    gain = number @ (np.log(number / rows) - smooth)
    gain += rest * math.log(rest / rows) if rest > 0 else 0.0
    if not gain > 0.5 * len(atoms) * math.log(rows):
        return (), 0.0
    return tuple(atoms.tolist()), step


def _log_density(
    values: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    at: Float[np.ndarray, " V"],
    kind: str,
) -> Float[np.ndarray, " V"]:
    """log f of the column on its own, by its moments; nats."""
    from scipy.special import gammaln

    if kind == "count":
        mean, variance = mean_and_variance(values, weight)
        mean = max(mean, 1e-300)
        r = np.clip(mean**2 / max(variance - mean, 1e-300), 1e-3, 1e6)
        log_choose = gammaln(at + r) - gammaln(r) - gammaln(at + 1)
        return log_choose - r * np.log1p(mean / r) + at * np.log(mean / (r + mean))
    t, places = (np.log(values), np.log(at)) if kind == "positive" else (values, at)
    mean, variance = mean_and_variance(t, weight)
    u = (places - mean) / math.sqrt(variance)
    log_p = -0.5 * (u**2 + math.log(2 * math.pi)) - 0.5 * math.log(variance)
    return log_p - places if kind == "positive" else log_p
