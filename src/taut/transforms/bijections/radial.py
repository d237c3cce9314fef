"""`Radial`: an expansion or contraction around a point.

    z = x + beta (x - x0) / (alpha + r),        r = |x - x0|,  alpha > 0,  beta > -alpha
    log |det dz/dx| = (D - 1) log(1 + beta / (alpha + r)) + log(1 + alpha beta / (alpha + r)^2)

    alpha = softplus(raw),        beta = -alpha + softplus(v + softplus^-1(alpha)),  v = 0 the identity

The inverse is exact: r solves r^2 + (alpha + beta - R) r - alpha R = 0 with R = |z - x0|, and
x - x0 = (r / R) (z - x0). At x0 itself the map has a first derivative and no second.

Source: Rezende and Mohamed, Variational inference with normalizing flows (ICML 2015), equation 14 and
appendix A.2.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet
from taut.transforms.bijections.context_vector import ContextVector

__all__ = ["Radial"]

_START = 0.1  # standard deviation of v at the start
_RAW_ALPHA = math.log(math.expm1(1.0))  # alpha starts at one, the scale of a standard base


class Radial(AbstractBijection):
    """One centre.

    Attributes:
        x_shape, z_shape: (D,).
        parameters: x0, raw and v, (D + 2,).
    """

    name: ClassVar[str] = "radial"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    parameters: ContextVector

    def __init__(self, dim: int, *, condition_dim: int | None = None, key: PRNGKeyArray):
        self.x_shape = self.z_shape = (dim,)
        centre_key, v_key = jax.random.split(key)
        centre = jax.random.normal(centre_key, (dim,))
        v = _START * jax.random.normal(v_key, (1,))
        self.parameters = ContextVector(
            jnp.concatenate([centre, jnp.full(1, _RAW_ALPHA), v]), condition_dim
        )

    @property
    def condition_shape(self) -> Shape | None:
        return self.parameters.condition_shape

    def at_rest(self) -> "Radial":
        return eqx.tree_at(
            lambda la: la.parameters.own, self, replace_fn=lambda p: p.at[-1].set(0.0)
        )

    def _constrained(self, condition: Array | None) -> tuple[Array, Array, Array]:
        """x0, alpha, alpha + beta."""
        parameters = self.parameters(condition)
        alpha = jax.nn.softplus(parameters[-2])
        raw = parameters[-2]  # softplus^-1(alpha)
        return parameters[:-2], alpha, jax.nn.softplus(parameters[-1] + raw)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        centre, alpha, total = self._constrained(condition)
        r = _length(x - centre)
        ratio = (total + r) / (alpha + r)  # R / r
        return centre + ratio * (x - centre), self._log_det(r, alpha, total)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        centre, alpha, total = self._constrained(condition)
        far = _length(z - centre)
        ratio = _shrinkage(far, alpha, total)  # r / R
        x = centre + ratio * (z - centre)
        return x, -self._log_det(ratio * far, alpha, total)

    def _log_det(self, r: Array, alpha: Array, total: Array) -> Float[Array, ""]:
        beta, outer = total - alpha, alpha + r
        across = jnp.log((total + r) / outer)
        return (self.x_shape[0] - 1) * across + jnp.log1p(alpha * beta / outer**2)


def _length(v: Array) -> Float[Array, ""]:
    """|v|, whose gradient at zero is zero."""
    square = v @ v
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _shrinkage(far: Array, alpha: Array, total: Array) -> Array:
    """r / R at R = far, by the form of the root in which nothing cancels."""
    t = far - total
    root = jnp.sqrt(t**2 + 4 * alpha * far)
    inner = t <= 0
    below = jnp.where(inner, root - t, 1.0)
    above = jnp.where(inner, 1.0, far)
    return jnp.where(inner, 2 * alpha / below, (root + t) / (2 * above))
