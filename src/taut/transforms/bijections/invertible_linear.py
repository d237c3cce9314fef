"""`InvertibleLinear`: a full matrix by its LU factors.

    z = P L U x,        log |det dz/dx| = sum log |u_ii|

P is a permutation and stays; L has ones on its diagonal, U the signs it starts with. Start: a random
rotation. Encoding multiplies, decoding solves two triangular systems.

Source: Kingma and Dhariwal, Glow (NeurIPS 2018), section 3.2, equation 10.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, Shape, WithLogDet

__all__ = ["InvertibleLinear"]


class InvertibleLinear(AbstractBijection):
    """z = W x, W of D x D.

    Attributes:
        x_shape, z_shape: (D,).
        factors: L below the diagonal, U above it, log |u_ii| on it, (D, D).
        signs: of u_ii, (D,); fixed.
        order: the row of L U that each row of W is, (D,); fixed.
    """

    name: ClassVar[str] = "lu"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    factors: Float[Array, "D D"]
    signs: Int[Array, " D"]
    order: Int[Array, " D"]

    def __init__(self, dim: int, *, key: PRNGKeyArray):
        self.x_shape = self.z_shape = (dim,)
        rotation = jax.random.orthogonal(key, dim)
        permutation, lower, upper = jax.scipy.linalg.lu(rotation)
        diagonal = jnp.diagonal(upper)
        self.factors = (
            jnp.tril(lower, -1) + jnp.triu(upper, 1) + jnp.diag(jnp.log(jnp.abs(diagonal)))
        )
        self.signs = jnp.where(diagonal < 0, -1, 1).astype(jnp.int32)
        self.order = jnp.argmax(permutation, axis=1).astype(jnp.int32)

    def at_rest(self) -> "InvertibleLinear":
        zero, dim = jnp.zeros_like(self.factors), self.x_shape[0]
        ones, order = jnp.ones_like(self.signs), jnp.arange(dim, dtype=self.order.dtype)
        return eqx.tree_at(lambda la: (la.factors, la.signs, la.order), self, (zero, ones, order))

    @property
    def _log_det(self) -> Float[Array, ""]:
        return jnp.trace(self.factors)

    def _lower_and_upper(self) -> tuple[Float[Array, "D D"], Float[Array, "D D"]]:
        diagonal = self.signs * jnp.exp(jnp.diagonal(self.factors))
        lower = jnp.tril(self.factors, -1) + jnp.eye(*self.factors.shape, dtype=diagonal.dtype)
        return lower, jnp.triu(self.factors, 1) + jnp.diag(diagonal)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        lower, upper = self._lower_and_upper()
        weight = (lower @ upper)[self.order]
        return weight @ x, self._log_det

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        lower, upper = self._lower_and_upper()
        solve = jax.scipy.linalg.solve_triangular
        half = solve(lower, z[jnp.argsort(self.order)], lower=True, unit_diagonal=True)
        return solve(upper, half, lower=False), -self._log_det
