"""Reparameterized draws of any distribution with a quantile function.

    x = F^-1(u),        u ~ Uniform(0, 1)

x has distribution F and is a differentiable function of its parameters: the exponential, for one, is
-log(1 - u) / rate. The density is the wrapped distribution's own.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from numpyro.distributions import Distribution, ExpandedDistribution, Independent, constraints

from taut.core import InputError

__all__ = ["InverseCDF", "open_uniform"]


class InverseCDF(Distribution):
    """The wrapped distribution, drawn by its quantile function.

    Arguments:
        distribution: univariate and continuous with an `icdf`; or such a one made independent
            over some dimensions.

    Raises:
        InputError: no quantile function, or a discrete distribution, whose quantile function is flat.
    """

    arg_constraints = {}  # noqa: RUF012  (declared as an instance variable by NumPyro)
    pytree_data_fields = ("distribution",)

    def __init__(self, distribution: Distribution, *, validate_args: bool | None = None):
        univariate = _univariate(distribution)
        name = type(univariate).__name__
        if univariate.event_shape != () or not _has_quantiles(univariate):
            raise InputError(
                "a univariate distribution with a quantile function",
                f"{name}, which has none",
                "another family, or a score-function gradient",
                where="InverseCDF",
            )
        if univariate.is_discrete:
            raise InputError(
                "a continuous distribution",
                f"{name}, which is discrete",
                "a score-function gradient or enumeration",
                where="InverseCDF",
            )
        self.distribution = distribution
        super().__init__(
            distribution.batch_shape, distribution.event_shape, validate_args=validate_args
        )

    @property
    def support(self) -> constraints.Constraint | None:
        return self.distribution.support

    @property
    def has_rsample(self) -> bool:
        return True

    def sample(self, key: PRNGKeyArray | None, sample_shape: tuple[int, ...] = ()) -> Array:
        assert key is not None
        return self.icdf(open_uniform(key, self.shape(sample_shape)))

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        return self.distribution.log_prob(value)

    def icdf(self, q: Any) -> Array:
        """Quantiles, element by element over batch and event."""
        return _univariate(self.distribution).icdf(q)

    def cdf(self, value: Any) -> Array:
        """Distribution function, element by element over batch and event."""
        return _univariate(self.distribution).cdf(value)

    @property
    def mean(self) -> Array:
        return self.distribution.mean

    @property
    def variance(self) -> Array:
        return self.distribution.variance

    def entropy(self) -> Array:
        return self.distribution.entropy()


def open_uniform(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    """Draws from the uniform distribution on the open interval (0, 1).

    `jax.random.uniform` gives multiples of the machine epsilon from 0 on; half of it moves them to
    the middles of their cells, all of which are inside the interval.
    """
    u = jax.random.uniform(key, shape)
    return u + jnp.finfo(u.dtype).eps / 2


def _has_quantiles(d: Any) -> bool:
    """True when `icdf` can be traced; NumPyro's own for the gamma asks for another package."""
    try:
        jax.eval_shape(d.icdf, 0.5)
    except (NotImplementedError, ImportError):
        return False
    return True


def _univariate(d: Any) -> Any:
    """What remains without wrappers that only arrange batch and event dimensions."""
    while isinstance(d, (Independent, ExpandedDistribution)):
        d = d.base_dist
    return d
