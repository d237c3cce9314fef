"""Rounding down, in either direction.

    Rounding         z = floor(x),  x = z + u,  u ~ p(u | z) on [0, 1)^D     exact: log p(u | z) enters
    Dequantization   x = floor(z),  z = x + u,  u ~ q(u | x) on [0, 1)^D     -log q(u | x) enters

The second puts a density over integers: P(x) is its integral over the unit cell above x, and the
log-weight bounds log P(x) from below, so that -log w / (D log 2) is bits per dimension in the data's own
levels. A uniform q gives log w = log p(x + u) (Theis, van den Oord and Bethge 2016, section 3.1); a
learned q is variational dequantization (Ho et al., Flow++, 2019, section 3.1.2). A layer above that
rescales z, say by 1/256, adds its own volume. Data that are kept as k / (L - 1) on a grid of L levels
are read as their k: naming the levels anew has no volume.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import LOG_LIKELIHOOD, MASS, NEG_LOG_Q, InputError, Terms, as_proposal
from taut.transforms.abstract import Encoded, Key
from taut.transforms.conditional import drawn_once, is_reparameterized, log_density, required
from taut.transforms.surjections.abstract import (
    AbstractGenerativeSurjection,
    AbstractInferenceSurjection,
)
from taut.transforms.surjections.fibres import refuse_cells

__all__ = ["Dequantization", "Rounding"]

_OFF_GRID = 0.02  # of a step: 65536 levels in float32 are within 0.01


class Rounding(AbstractInferenceSurjection):
    """z = floor(x), for a base over integers: a histogram of unit cells.

    Attributes:
        noise: p(u | z): callable from z to a distribution or proposal on (0, 1) in every cell; None
            for uniform.
    """

    name: ClassVar[str] = "rounding"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    noise: Any

    def __init__(self, shape: tuple[int, ...], noise: Any = None):
        self.x_shape = self.z_shape = shape
        self.noise = noise

    def latent_of(self, x: Any) -> Any:
        return jnp.floor(x)

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        z = jnp.asarray(z, jnp.result_type(float))
        return _within_cell(z, _drawn(self.noise, z, key, self.name)[0])

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: _log_noise(self.noise, x, z)}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return z + (0.5 if self.noise is None else as_proposal(self.noise(z)).mean())


class Dequantization(AbstractGenerativeSurjection):
    """z = k + u for integers k; a lower bound on the log of their probability.

    The log-weight of a cell that is no integer is -inf.

    Attributes:
        noise: q(u | k): callable from k to a distribution or proposal on (0, 1) in every cell, such as
            `ConditionalLogitNormal` or a `Transformed` one; None for uniform.
        levels: L, where x = k / (L - 1) with k = 0, ..., L - 1; None where x = k is any integer. What
            decodes beyond the grid is its nearest level; the bound leaves that mass out.
    """

    name: ClassVar[str] = "dequantization"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    noise: Any
    levels: int | None = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], noise: Any = None, *, levels: int | None = None):
        if levels is not None and levels < 2:
            raise InputError("at least two levels", f"{levels}", "256", where="levels")
        self.x_shape = self.z_shape = shape
        self.noise = noise
        self.levels = levels

    @property
    def cell_kinds(self) -> tuple[str, ...]:
        return (MASS,)

    @property
    def reparameterized(self) -> bool:
        return self.noise is None or is_reparameterized(self.noise, self.x_shape)

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        k, valid = self._integers(x)
        u, log_q = _drawn(self.noise, k, key, self.name)
        neg_log_q = jnp.where(valid, -log_q, -jnp.inf)
        return Encoded(_within_cell(k, u), {NEG_LOG_Q: neg_log_q})

    def data_of(self, z: Any) -> Any:
        k = jnp.floor(z)
        if self.levels is None:
            return k
        return jnp.clip(k, 0, self.levels - 1) / (self.levels - 1)

    def middle_of(self, x: Any) -> Any:
        """The middle of the cell of z that x stands for."""
        return self._integers(x)[0] + 0.5

    def relaxed(self, z: Any) -> Any:
        """x whose cell has its middle at z: smooth, and `data_of` to within half a step."""
        return (z - 0.5) / (1 if self.levels is None else self.levels - 1)

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        k, valid = self._integers(x)
        return {NEG_LOG_Q: jnp.where(valid, -_log_noise(self.noise, z, k), -jnp.inf)}

    def check(self, x: np.ndarray, *, where: str) -> None:
        if self.levels is None:
            bad, expected = x != np.floor(x), "an integer in every cell to dequantize"
        else:
            top = self.levels - 1
            bad = (np.abs(x * top - np.rint(x * top)) > _OFF_GRID) | (x < 0) | (x > 1)
            expected = f"k/{top}, k = 0, ..., {top}, in every cell to dequantize"
        refuse_cells(
            bad, x, where=where, expected=expected, remedy="a chain without dequantization"
        )

    def _integers(self, x: Any) -> tuple[Float[Array, "*x"], Bool[Array, ""]]:
        """k, and whether every cell has one."""
        x = jnp.asarray(x, jnp.result_type(float))
        if self.levels is None:
            return x, jnp.all(x == jnp.floor(x))
        k = jnp.rint(x * (self.levels - 1))
        on_grid = jnp.abs(x * (self.levels - 1) - k) <= _OFF_GRID
        return k, jnp.all(on_grid & (k >= 0) & (k < self.levels))


def _drawn(
    noise: Any, corner: Float[Array, "*x"], key: PRNGKeyArray | None, name: str
) -> tuple[Float[Array, "*x"], Float[Array, ""]]:
    if noise is None:
        return jax.random.uniform(required(key), corner.shape, corner.dtype), jnp.zeros(())
    return drawn_once(noise(corner), key, where=name)


def _log_noise(
    noise: Any, value: Float[Array, "*x"], corner: Float[Array, "*x"]
) -> Float[Array, ""]:
    """The log-density of value - corner; -inf outside the unit cell."""
    in_cell = jnp.all(jnp.floor(value) == corner)
    if noise is None:
        return jnp.where(in_cell, 0.0, -jnp.inf)
    # A draw next to a corner may round onto it: it stays strictly inside.
    tiny = jnp.finfo(value.dtype).eps
    u = jnp.clip(value - corner, tiny, 1 - tiny)
    return jnp.where(in_cell, log_density(noise(corner), u), -jnp.inf)


def _within_cell(corner: Float[Array, "*x"], u: Float[Array, "*x"]) -> Float[Array, "*x"]:
    """corner + u, below the next corner also where the sum would round up to it."""
    return jnp.minimum(corner + u, jnp.nextafter(corner + 1, corner))
