"""A family of densities with both tails, as cases of the law.

Each is tried in three ways, told apart by the argument after x: as the density, as a left-censored value
and as a right-censored one.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from density_cases import Density

from taut.distributions import accurate

__all__ = ["Family"]


class Family(NamedTuple):
    """A family of densities on the line or a part of it.

    Attributes:
        make: the distribution with these parameters.
        log_density, log_below, log_above: of x and the parameters.
        parameters: some.
        values: x of which each is tried.
        counted: whether x are counts, in which nothing is differentiated.
    """

    make: Callable[..., Any]
    log_density: Callable[..., Decimal]
    log_below: Callable[..., Decimal]
    log_above: Callable[..., Decimal]
    parameters: Sequence[tuple[float, ...]]
    values: Sequence[float]
    counted: bool = False

    @property
    def density(self) -> Density:
        def log_prob(x: Any, kind: Any, *p: Any) -> Any:
            d = self.make(*p)
            seen = accurate(d).log_prob(x)
            below = accurate(dist.LeftCensoredDistribution(d, True)).log_prob(x)
            above = accurate(dist.RightCensoredDistribution(d, True)).log_prob(x)
            return jnp.where(kind == 0, seen, jnp.where(kind < 0, below, above))

        def exact(x: Decimal, kind: Decimal, *p: Decimal) -> Decimal:
            return (self.log_below, self.log_density, self.log_above)[int(kind) + 1](x, *p)

        points = [
            (x, k, *p) for p in self.parameters for x in self.values for k in (-1.0, 0.0, 1.0)
        ]
        smooth = tuple(range(2, len(points[0])))
        smooth = smooth if self.counted else (0, *smooth)
        return Density(log_prob, exact, points, smooth)
