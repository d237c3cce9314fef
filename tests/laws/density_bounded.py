"""Truncated densities, and probabilities of intervals, on either side of the centre and far out."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from density_cases import Density
from density_family import Family
from density_tails import LINE, TAILS
from digits import log1m_exp, log_sum

from taut.distributions import accurate

__all__ = ["BOUNDED"]

# (x, low, high) in scales from the centre.
_BOUNDS = [
    (8.125, 8.0, 9.0), (-8.125, -9.0, -8.0), (0.25, -1.0, 2.0), (-39.5, -40.0, 3.0), (38.5, -3.0, 40.0),
    (40.0625, 40.0, 41.0), (0.125, 0.0, 0.25),
]  # fmt: skip


def _log_mass(f: Family, low: Decimal, high: Decimal, *p: Decimal) -> Decimal:
    below, above = f.log_below(high, *p), f.log_above(low, *p)
    if above < below:
        return above + log1m_exp(f.log_above(high, *p) - above)
    return below + log1m_exp(f.log_below(low, *p) - below)


def _truncated(
    f: Family,
    bounds: Sequence[tuple[float, float, float]],
    of: Any,
    others: Sequence[tuple[float, ...]] = (),
) -> Density:
    """Three ways: bounded on the left, on both sides, on the right.

    Arguments:
        f: the family, with its first parameters.
        bounds: x with its bounds.
        of: makes the truncated distribution.
        others: x with its bounds and parameters beside them.
    """

    def log_prob(x: Any, low: Any, high: Any, kind: Any, *p: Any) -> Any:
        d = f.make(*p)
        left = accurate(of(d, low=low)).log_prob(x)
        both = accurate(of(d, low=low, high=high)).log_prob(x)
        right = accurate(of(d, high=high)).log_prob(x)
        return jnp.where(kind == 0, both, jnp.where(kind < 0, left, right))

    def exact(x: Decimal, low: Decimal, high: Decimal, kind: Decimal, *p: Decimal) -> Decimal:
        if kind == 0:
            mass = _log_mass(f, low, high, *p)
        else:
            mass = f.log_above(low, *p) if kind < 0 else f.log_below(high, *p)
        return f.log_density(x, *p) - mass

    p = f.parameters[0]
    places = [(b, p) for b in bounds] + [(at[:3], at[3:]) for at in others]
    points = [(*b, k, *q) for b, q in places for k in (-1.0, 0.0, 1.0)]
    return Density(log_prob, exact, points, (0, 1, 2, *range(4, 4 + len(p))))


def _interval(f: Family, bounds: Sequence[tuple[float, float]]) -> Density:
    """A value between two bounds, and one outside of them; below the one and above the other."""

    def log_prob(low: Any, high: Any, kind: Any, *p: Any) -> Any:
        left, right = (kind == 1) | (kind == 3), (kind == 2) | (kind == 3)
        d = dist.IntervalCensoredDistribution(f.make(*p), left, right)
        return accurate(d).log_prob(jnp.stack([low, high]))

    def exact(low: Decimal, high: Decimal, kind: Decimal, *p: Decimal) -> Decimal:
        below, above = f.log_below, f.log_above
        return [
            lambda: _log_mass(f, low, high, *p),
            lambda: below(high, *p),
            lambda: above(low, *p),
            lambda: log_sum(below(low, *p), above(high, *p)),
        ][int(kind)]()

    p = f.parameters[0]
    points = [(*b, k, *p) for b in bounds for k in (0.0, 1.0, 2.0, 3.0)]
    return Density(log_prob, exact, points, (0, 1, *range(3, 3 + len(p))))


_LINE_INTERVALS = [(low, high) for _, low, high in _BOUNDS]
_POSITIVE_BOUNDS = [
    (8.125, 8.0, 9.0),
    (0.25, 0.125, 2.0),
    (41.0, 40.0, 45.0),
    (300.0, 200.0, 400.0),
]

# The bounds lie where people's data are and the centre far from them, where both terms are huge.
_FAR_CENTRES = [
    (*b, loc, 1.0) for loc in (-1e5, 1e3) for b in ((2.125, 2.0, 3.0), (-1.75, -2.0, -1.5))
]

BOUNDED: dict[str, Density] = {
    **{
        f"TruncatedDistribution({name})": _truncated(
            # A bound on the kink of a Laplace has no second derivative.
            f,
            _BOUNDS[:-1] if name == "Laplace" else _BOUNDS,
            dist.TruncatedDistribution,
            _FAR_CENTRES if name == "Normal" else (),
        )
        for name, f in LINE.items()
    },
    "TruncatedGamma": _truncated(
        TAILS["Gamma"],
        _POSITIVE_BOUNDS,
        lambda d, **ends: dist.TruncatedGamma(d.concentration, d.rate, **ends),
    ),
    **{
        f"IntervalCensoredDistribution({name})": _interval(
            TAILS[name], _LINE_INTERVALS if name in LINE else [b[1:] for b in _POSITIVE_BOUNDS]
        )
        for name in ("Normal", "Weibull", "Gamma")
    },
}
