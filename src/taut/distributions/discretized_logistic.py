"""Discretized logistic: a logistic variable rounded to the nearest of `levels` grey values.

For values x = k / (levels - 1), k = 0..levels-1, half a bin h = 1 / (2 (levels - 1)) and the logistic
distribution function F(y) = sigmoid((y - loc) / scale),

    p(x) = F(x + h) - F(x - h),    p(0) = F(h),    p(1) = 1 - F(1 - h)

so that the edge bins take the tails and the mass function sums to one. With a, b the arguments of the
sigmoid at x + h, x - h, the difference is taken without cancellation:

    log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b - a))

Source: Kingma et al., Improved variational inference with inverse autoregressive flow (NeurIPS 2016),
appendix C; edge bins as in Salimans et al., PixelCNN++ (ICLR 2017), equation 2, for one component.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import validate_sample

from taut.core import InputError

__all__ = ["DiscretizedLogistic", "grid"]

# A value counts as a grid value when it is this close to one, in units of a bin: rounding in float32
# moves k / 65535 by at most 0.004 bins.
_OFF_GRID = 0.01


class DiscretizedLogistic(Distribution):
    """Mass function on 0, 1/(levels-1), ..., 1.

    Arguments:
        loc: centre of the logistic, in units of the data.
        log_scale: log of its scale; far below half a bin all mass falls into one bin.
        levels: number of values, at least 2.

    Raises:
        InputError: fewer than two levels.
    """

    # NumPyro declares this as an instance variable, which ClassVar would contradict.
    arg_constraints = {"loc": constraints.real, "log_scale": constraints.real}  # noqa: RUF012
    pytree_data_fields = ("loc", "log_scale")
    pytree_aux_fields = ("levels",)
    has_enumerate_support = True

    def __init__(self, loc: Any, log_scale: Any, *, levels: int, validate_args: bool | None = None):
        if levels < 2:
            raise InputError("at least 2 levels", str(levels), "levels=256", where="levels")
        dtype = jnp.result_type(loc, log_scale, float)
        self.loc, self.log_scale = jnp.broadcast_arrays(
            jnp.asarray(loc, dtype), jnp.asarray(log_scale, dtype)
        )
        self.levels = levels
        super().__init__(batch_shape=self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return grid(self.levels)

    def sample(self, key: PRNGKeyArray | None, sample_shape: tuple[int, ...] = ()) -> Array:
        assert key is not None
        shape = sample_shape + self.batch_shape
        noise = jax.random.logistic(key, shape, self.loc.dtype)
        code = jnp.round((self.loc + jnp.exp(self.log_scale) * noise) * (self.levels - 1))
        return jnp.clip(code, 0, self.levels - 1) / (self.levels - 1)

    @validate_sample
    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """log p(x) in nats; -inf off the grid."""
        last = self.levels - 1
        code = jnp.clip(jnp.round(jnp.asarray(value) * last), 0, last)
        precision = jnp.exp(-self.log_scale)
        upper = (code + 0.5) / last
        lower = (code - 0.5) / last
        below_top = jnp.where(code == last, 0.0, jax.nn.log_sigmoid((upper - self.loc) * precision))
        above_bottom = jnp.where(code == 0, 0.0, jax.nn.log_sigmoid((self.loc - lower) * precision))
        inside = (code > 0) & (code < last)
        width = jnp.where(inside, jnp.log(-jnp.expm1(-precision / last)), 0.0)
        return jnp.where(
            grid(self.levels)(jnp.asarray(value)), below_top + above_bottom + width, -jnp.inf
        )

    def enumerate_support(self, expand: bool = True) -> Array:
        values = jnp.arange(self.levels, dtype=self.loc.dtype) / (self.levels - 1)
        values = values.reshape((-1,) + (1,) * len(self.batch_shape))
        return jnp.broadcast_to(values, (self.levels, *self.batch_shape)) if expand else values

    @property
    def mean(self) -> Array:
        """E[x] = sum_{k >= 1} P(code >= k) / (levels - 1)."""
        return jnp.sum(self._survival(), axis=0) / (self.levels - 1)

    @property
    def variance(self) -> Array:
        """From E[code^2] = sum_{k >= 1} (2k - 1) P(code >= k)."""
        survival = self._survival()
        weights = (2.0 * jnp.arange(1, self.levels) - 1.0).astype(survival.dtype)
        second = jnp.tensordot(weights, survival, axes=1) / (self.levels - 1) ** 2
        return second - self.mean**2

    def _survival(self) -> Array:
        """P(code >= k) for k = 1..levels-1, on a new leading axis."""
        edges = (jnp.arange(1, self.levels, dtype=self.loc.dtype) - 0.5) / (self.levels - 1)
        edges = edges.reshape((-1,) + (1,) * len(self.batch_shape))
        return jax.nn.sigmoid((self.loc - edges) * jnp.exp(-self.log_scale))


class grid(constraints.Constraint):
    """The values k / (levels - 1), k = 0..levels-1, up to float32 rounding."""

    is_discrete = True

    def __init__(self, levels: int):
        self.levels = levels

    def __call__(self, x: Any) -> Any:
        xp = jnp if isinstance(x, jax.Array) else np
        code = x * (self.levels - 1)
        near = xp.abs(code - xp.round(code)) <= _OFF_GRID
        return near & (code > -0.5) & (code < self.levels - 0.5)

    def feasible_like(self, prototype: Any) -> Any:
        return jnp.zeros_like(prototype)

    def tree_flatten(self) -> Any:
        return (), ((), {"levels": self.levels})

    def eq(self, other: object, static: bool = False) -> bool:
        return isinstance(other, grid) and other.levels == self.levels
