"""Invertible 1 x 1 convolution: the channels of every pixel mixed by one matrix.

    z[i, j] = M x[i, j],   M = P L (U + diag(s)),        log det = H W sum_c log |s_c|

P is a permutation and the signs of s are fixed; L has ones on its diagonal, U zeros. Starts at a random
rotation.

Source: Kingma and Dhariwal, Glow (2018), section 3.2, equations 10 and 11.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import lu, solve_triangular
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.transforms.abstract import AbstractBijection, WithLogDet

__all__ = ["InvertibleConv"]

_HIGHEST = jax.lax.Precision.HIGHEST  # a rounded product would not be undone by the solve


class InvertibleConv(AbstractBijection):
    """One C x C matrix on every pixel of (H, W, C).

    Attributes:
        lower, upper: below and above the diagonals of L and U, (C (C - 1) / 2,), row by row.
        log_diagonal: log |s|, (C,).
        negative: where s is negative, (C,).
        order: channel i of z is entry order[i] of L U x, (C,).
    """

    name: ClassVar[str] = "invertible-conv"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    lower: Float[Array, " half"]
    upper: Float[Array, " half"]
    log_diagonal: Float[Array, " C"]
    negative: Bool[Array, " C"]
    order: Int[Array, " C"]

    def __init__(self, shape: tuple[int, int, int], *, key: PRNGKeyArray):
        channels = shape[-1]
        rotation = jax.random.orthogonal(key, channels)
        permutation, lower, upper = lu(rotation)
        self.x_shape = self.z_shape = shape
        self.lower = lower[np.tril_indices(channels, -1)]
        self.upper = upper[np.triu_indices(channels, 1)]
        diagonal = jnp.diagonal(upper)
        self.log_diagonal = jnp.log(jnp.abs(diagonal))
        self.negative = diagonal < 0
        self.order = jnp.argmax(permutation, axis=1).astype(jnp.int32)  # in either precision

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        lower, upper = self._factors()
        mixed = jnp.matmul(jnp.matmul(x, upper.T, precision=_HIGHEST), lower.T, precision=_HIGHEST)
        return mixed[..., self.order], self._log_det()

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        lower, upper = self._factors()
        columns = z[..., jnp.argsort(self.order)].reshape(-1, z.shape[-1]).T
        columns = solve_triangular(lower, columns, lower=True, unit_diagonal=True)
        return solve_triangular(upper, columns).T.reshape(z.shape), -self._log_det()

    def _factors(self) -> tuple[Float[Array, "C C"], Float[Array, "C C"]]:
        """L and U + diag(s)."""
        channels = self.x_shape[-1]
        size = jnp.exp(self.log_diagonal)
        lower = jnp.eye(channels).at[np.tril_indices(channels, -1)].set(self.lower)
        upper = jnp.diag(jnp.where(self.negative, -size, size))
        return lower, upper.at[np.triu_indices(channels, 1)].set(self.upper)

    def _log_det(self) -> Float[Array, ""]:
        height, width, _ = self.x_shape
        return height * width * jnp.sum(self.log_diagonal)
