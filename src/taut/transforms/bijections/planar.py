"""`Planar`: an expansion along a vector, as a function of one direction.

    z = x + u tanh(w^T x + b),        log |det dz/dx| = log(1 + w^T u / cosh(w^T x + b)^2)

It is invertible where w^T u > -1, which holds for

    u = v + (m(w^T v) - w^T v) w / |w|^2,        m(t) = -1 + softplus(t + log(e - 1)),

m(0) = 0, so that v = 0 is the identity (the paper's m has m(0) = log 2 - 1 < 0). The inverse is exact:
a = w^T x + b solves a + w^T u tanh(a) = w^T z + b, and x = z - u tanh(a). With t = tanh(a) and the
softplus s = 1 + w^T u, which is small where the layer folds,

    1 + w^T u / cosh(a)^2 = t^2 + s (1 - t^2)

Source: Rezende and Mohamed, Variational inference with normalizing flows (ICML 2015), equations 10 to 12
and appendix A.1.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet
from taut.transforms.bijections.context_vector import ContextVector
from taut.transforms.bijections.tanh_root import tanh_root

__all__ = ["Planar"]

_START = 0.1  # standard deviation of v at the start; w has the length one in expectation
_SHIFT = math.log(math.expm1(1.0))
_TINY = 1e-12  # added to |w|^2


class Planar(AbstractBijection):
    """One hidden unit.

    Attributes:
        x_shape, z_shape: (D,).
        parameters: w, v and b, (2 D + 1,).
    """

    name: ClassVar[str] = "planar"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    parameters: ContextVector

    def __init__(self, dim: int, *, condition_dim: int | None = None, key: PRNGKeyArray):
        self.x_shape = self.z_shape = (dim,)
        w, v = jax.random.normal(key, (2, dim)) / math.sqrt(dim)
        self.parameters = ContextVector(
            jnp.concatenate([w, _START * v, jnp.zeros(1)]), condition_dim
        )

    @property
    def condition_shape(self) -> Shape | None:
        return self.parameters.condition_shape

    def at_rest(self) -> "Planar":
        dim = self.x_shape[0]
        own = self.parameters.own.at[dim : 2 * dim].set(0.0)  # v, which the gradient moves first
        return eqx.tree_at(lambda la: la.parameters.own, self, own)

    def _constrained(self, condition: Array | None) -> tuple[Array, Array, Array, Array]:
        """w, u, b and s."""
        dim, parameters = self.x_shape[0], self.parameters(condition)
        w, v, b = parameters[:dim], parameters[dim : 2 * dim], parameters[-1]
        along = w @ v
        s = jax.nn.softplus(along + _SHIFT)
        return w, v + (s - 1 - along) * w / (w @ w + _TINY), b, s

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        w, u, b, s = self._constrained(condition)
        t = jnp.tanh(w @ x + b)
        return x + u * t, _log_det(s, t)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        w, u, b, s = self._constrained(condition)
        t = jnp.tanh(tanh_root(s - 1, w @ z + b))
        return z - u * t, -_log_det(s, t)


def _log_det(s: Array, t: Array) -> Array:
    """log(t^2 + s (1 - t^2)), by what is small: the change from the identity, or the determinant."""
    folds = s < 0.5
    near = jnp.where(folds, 1.0, s)
    return jnp.where(
        folds,
        jnp.log(t**2 + jnp.where(folds, s, 1.0) * (1 - t**2)),
        jnp.log1p((near - 1) * (1 - t**2)),
    )
