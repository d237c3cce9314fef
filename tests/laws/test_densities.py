"""The law of densities: right at the edge, 40 standard deviations out and for counts of ten million.

    |log p - exact|      <= C eps (1 + |log p| + sum_i |a_i d_i log p|)
    |d_i log p - exact|  <= C eps (1 / |a_i| + |d_i log p| + sum_j |a_j d_i d_j log p|)

over the arguments a_i that are real numbers: what rounding each of them by C eps would do at most. No
tolerance is chosen beside C, and float32 and float64 obey the same law. At hundreds of x between the
points at which exact values are known the two agree within the same rounding: where their forms meet, or
fail, differs between them.
"""

from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from density_bounded import BOUNDED
from density_cases import Density
from density_counts import COUNTS
from density_likelihoods import LIKELIHOODS
from density_others import OTHERS, UNTRIED
from density_tails import TAILS
from digits import D, derivatives

from taut.distributions.accurate.of import RULES

DENSITIES: dict[str, Density] = {
    **COUNTS,
    **{f"{name} and its tails": family.density for name, family in TAILS.items()},
    **BOUNDED,
    **OTHERS,
    **LIKELIHOODS,
}
# Made by the functions and wrappers that entries are named after.
_UNDER_OTHER_NAMES = {
    "HurdlePoisson", "ZeroInflatedPoisson", "LeftCensoredDistribution", "RightCensoredDistribution",
    "LeftTruncatedDistribution", "RightTruncatedDistribution", "TwoSidedTruncatedDistribution",
    "LeftTruncatedGamma", "RightTruncatedGamma", "TwoSidedTruncatedGamma",
}  # fmt: skip
BETWEEN = 701  # steps of the largest range of standard deviations are an eighth
ROUNDINGS = 128  # C: most take dozens of operations, a continued fraction takes hundreds
TYPES = [np.float32, np.float64]


def test_every_distribution_of_numpyro_is_tried_or_it_is_said_why_not():
    classes = (getattr(dist, name) for name in dist.__all__)
    known = {
        c.__name__ for c in classes if isinstance(c, type) and issubclass(c, dist.Distribution)
    }
    tried = {word for name in DENSITIES for word in name.replace("(", " ").split()}
    assert known - tried - set(UNTRIED) - _UNDER_OTHER_NAMES == set()
    assert not tried & set(UNTRIED)
    ruled = {cls.__name__ for cls in RULES}
    assert ruled <= tried | _UNDER_OTHER_NAMES


@pytest.mark.parametrize("name", DENSITIES)
def test_value_and_gradient_are_exact_up_to_rounding(name: str):
    density = DENSITIES[name]
    points = [tuple(np.float32(a) for a in point) for point in density.points]
    exact = [_exact(density, point) for point in points]
    between = _between(density, points)
    agreeing: dict[Any, tuple[np.ndarray, np.ndarray]] = {}
    for dtype in TYPES:
        with jax.enable_x64(dtype is np.float64):
            columns = [np.asarray(c, dtype) for c in zip(*points, *between, strict=True)]
            one = jax.value_and_grad(density.log_prob, density.smooth)
            values, gradients = jax.device_get(jax.jit(jax.vmap(one))(*columns))
        rounded = [np.abs(columns[i] * g) for i, g in zip(density.smooth, gradients, strict=True)]
        agreeing[dtype] = values, 1 + np.abs(values) + np.sum(rounded, axis=0)
        assert values.dtype == dtype
        eps = ROUNDINGS * np.finfo(dtype).eps
        for k, (value, value_scale, slopes, slope_scales) in enumerate(exact):
            where = f"{name}{tuple(map(float, points[k]))} in {dtype.__name__}"
            error = abs(float(values[k]) - value)
            assert error <= eps * value_scale, f"{where}: {values[k]}, not {value}"
            for i, slope, scale in zip(density.smooth, slopes, slope_scales, strict=True):
                got = float(gradients[density.smooth.index(i)][k])
                assert abs(got - slope) <= eps * scale, f"{where}: slope {i} {got}, not {slope}"
    (single, _), (double, scale) = (agreeing[dtype] for dtype in TYPES)
    apart = np.abs(single - double) > ROUNDINGS * np.finfo(np.float32).eps * scale
    apart = apart[len(points) :] | ~np.isfinite(single[len(points) :])
    assert not apart.any(), f"{name}: {[between[k] for k in np.flatnonzero(apart)[:5]]}"


def _between(
    density: Density, points: list[tuple[np.float32, ...]]
) -> list[tuple[np.float32, ...]]:
    """x between those of the points that have all else in common, where it is a real number."""
    if 0 not in density.smooth:
        return []
    values: dict[tuple, set[np.float32]] = {}
    for x, *rest in points:
        values.setdefault(tuple(rest), set()).add(x)
    return [
        (np.float32(x), *rest)
        for rest, among in values.items()
        if len(among) > 1
        for x in np.linspace(min(among), max(among), BETWEEN)
    ]


def _exact(density: Density, point: tuple[np.float32, ...]) -> tuple:
    """The value and the slopes, each with what bounds its rounding error, in units of eps."""
    args = tuple(D(float(a)) for a in point)
    value = density.exact(*args)
    first, second = derivatives(density.exact, args, density.smooth)
    size = [abs(a) for a in args]
    moved = sum(size[i] * abs(d) for i, d in zip(density.smooth, first, strict=True))
    scales = [
        1 / (size[i] or D(1)) + abs(d) + sum(size[j] * abs(second[i, j]) for j in density.smooth)
        for i, d in zip(density.smooth, first, strict=True)
    ]
    return (
        float(value), float(1 + abs(value) + moved), list(map(float, first)), list(map(float, scales)),
    )  # fmt: skip
