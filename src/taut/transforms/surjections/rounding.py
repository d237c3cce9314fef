"""Rounding down, in either direction.

    Rounding         z = floor(x),  x = z + u,  u ~ p(u | z) on [0, 1)^D     exact: log p(u | z) enters
    Dequantization   x = floor(z),  z = x + u,  u ~ q(u | x) on [0, 1)^D     -log q(u | x) enters

The second puts a density over integers: P(x) is its integral over the unit cell above x, and the
log-weight bounds log P(x) from below, so that -log w / (D log 2) is bits per dimension in the data's own
levels. A uniform q gives log w = log p(x + u) (Theis, van den Oord and Bethge 2016, section 3.1); a
learned q is variational dequantization (Ho et al., Flow++, 2019, section 3.1.2). A layer above that
rescales z, say by 1/256, adds its own volume.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, Terms, as_proposal
from taut.transforms.abstract import AbstractLayer, Encoded, Kind
from taut.transforms.conditional import drawn_once, is_reparameterized, log_density, required
from taut.transforms.surjections.fibres import refuse_cells

__all__ = ["Dequantization", "Rounding"]


class Rounding(AbstractLayer):
    """z = floor(x), for a base over integers: a histogram of unit cells.

    Attributes:
        noise: p(u | z): callable from z to a distribution or proposal on (0, 1) in every cell; None
            for uniform.
    """

    name: ClassVar[str] = "rounding"
    kind: ClassVar[Kind] = "surjective"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    noise: Any

    def __init__(self, shape: tuple[int, ...], noise: Any = None):
        self.x_shape = self.z_shape = shape
        self.noise = noise

    @property
    def deterministic_encode(self) -> bool:
        return True

    @property
    def deterministic_decode(self) -> bool:
        return False

    def encode(
        self, x: Any, key: PRNGKeyArray | None = None, condition: Array | None = None
    ) -> Encoded:
        return Encoded(jnp.floor(x), {})

    def decode(
        self, z: Any, key: PRNGKeyArray | None = None, condition: Array | None = None
    ) -> Any:
        z = jnp.asarray(z, jnp.result_type(float))
        return _within_cell(z, _drawn(self.noise, z, key, self.name)[0])

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {}

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: _log_noise(self.noise, x, z)}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return z + (0.5 if self.noise is None else as_proposal(self.noise(z)).mean())


class Dequantization(AbstractLayer):
    """z = x + u for integers x; a lower bound on the log of their probability.

    The log-weight of a cell that is no integer is -inf.

    Attributes:
        noise: q(u | x): callable from x to a distribution or proposal on (0, 1) in every cell, such as
            `ConditionalLogitNormal` or a `Transformed` one; None for uniform.
    """

    name: ClassVar[str] = "dequantization"
    kind: ClassVar[Kind] = "surjective"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    noise: Any

    def __init__(self, shape: tuple[int, ...], noise: Any = None):
        self.x_shape = self.z_shape = shape
        self.noise = noise

    @property
    def deterministic_encode(self) -> bool:
        return False

    @property
    def deterministic_decode(self) -> bool:
        return True

    @property
    def reparameterized(self) -> bool:
        return self.noise is None or is_reparameterized(self.noise, self.x_shape)

    def encode(
        self, x: Any, key: PRNGKeyArray | None = None, condition: Array | None = None
    ) -> Encoded:
        x = jnp.asarray(x, jnp.result_type(float))
        u, log_q = _drawn(self.noise, x, key, self.name)
        neg_log_q = jnp.where(_integers(x), -log_q, -jnp.inf)
        return Encoded(_within_cell(x, u), {NEG_LOG_Q: neg_log_q})

    def decode(
        self, z: Any, key: PRNGKeyArray | None = None, condition: Array | None = None
    ) -> Any:
        return jnp.floor(z)

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        x = jnp.asarray(x, jnp.result_type(float))
        neg_log_q = -_log_noise(self.noise, z, x)
        return {NEG_LOG_Q: jnp.where(_integers(x), neg_log_q, -jnp.inf)}

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_cells(
            x != np.floor(x), x, where=where,
            expected="an integer in every cell to dequantize",
            remedy="a chain without dequantization",
        )  # fmt: skip


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


def _integers(x: Float[Array, "*x"]) -> Bool[Array, ""]:
    return jnp.all(x == jnp.floor(x))
