"""Absolute values, in either direction.

    AbsoluteValue             z = |x|,  x = s z,  s ~ p(s | z)         exact: log p(s | z) enters
    GenerativeAbsoluteValue   x = |z|,  z = s x,  s ~ q(s | x)         -log q(s | x) enters

Signs are independent of each other given the value. The first folds data, which a flow then sees as
half of a symmetric density; the second makes non-negative data from any latent: each x has 2^D
z, over which the chain sums where D is small.

Source: Nielsen et al., SurVAE Flows (2020), section 3.1, abs surjection.
"""

import itertools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, Terms
from taut.transforms.abstract import Encoded, Fibre, Key
from taut.transforms.conditional import parameters_at, required
from taut.transforms.surjections.abstract import (
    AbstractGenerativeSurjection,
    AbstractInferenceSurjection,
)
from taut.transforms.surjections.fibres import refuse_cells, refuse_large_fibre

__all__ = ["AbsoluteValue", "GenerativeAbsoluteValue"]


class AbsoluteValue(AbstractInferenceSurjection):
    """z = |x|; the sign of each cell is positive with probability sigmoid(logits).

    Attributes:
        logits: of the positive sign: an array that broadcasts to x, or a network from z to as many
            numbers; None for even odds.
    """

    name: ClassVar[str] = "absolute-value"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    logits: Any

    def __init__(self, shape: tuple[int, ...], logits: Any = None):
        self.x_shape = self.z_shape = shape
        self.logits = logits

    def latent_of(self, x: Any) -> Any:
        return jnp.abs(x)

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return _signed(z, _logits(self.logits, z), key)

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: _log_signs(x >= 0, _logits(self.logits, z))}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return (2 * jax.nn.sigmoid(_logits(self.logits, z)) - 1) * z


class GenerativeAbsoluteValue(AbstractGenerativeSurjection):
    """x = |z|; q takes the positive sign of each cell with probability sigmoid(logits).

    The number is exact where all 2^D signs are summed over, whatever the logits; otherwise it is a
    lower bound. A row with a negative cell has log-weight -inf.

    Attributes:
        logits: of the positive sign: an array that broadcasts to x, or a network from x to as many
            numbers; None for even odds.
    """

    name: ClassVar[str] = "generative-absolute-value"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    logits: Any

    def __init__(self, shape: tuple[int, ...], logits: Any = None):
        self.x_shape = self.z_shape = shape
        self.logits = logits

    @property
    def reparameterized(self) -> bool:
        return self.logits is None  # a drawn sign is not differentiable in its odds

    @property
    def fibre_size(self) -> int:
        return 2**self._num_cells

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        z = _signed(x, _logits(self.logits, x), key)
        return Encoded(z, self.inference_terms(x, z, condition))

    def data_of(self, z: Any) -> Any:
        return jnp.abs(z)

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        # At x = 0 both signs give the same number, and the bit of the sign tells them apart.
        positive = jnp.signbit(z) == jnp.signbit(x)
        neg_log_q = -_log_signs(positive, _logits(self.logits, x))
        return {NEG_LOG_Q: jnp.where(jnp.all(x >= 0), neg_log_q, -jnp.inf)}

    def fibre(self, x: Any, condition: Array | None = None) -> Fibre:
        refuse_large_fibre(self.name, f"2^{self._num_cells}", self.fibre_size)
        signs = np.array(list(itertools.product((True, False), repeat=self._num_cells)))
        positive = jnp.asarray(signs.reshape(-1, *self.x_shape))
        logits = _logits(self.logits, x)
        log_q = jax.vmap(lambda s: _log_signs(s, logits))(positive)
        return Fibre(jnp.where(positive, x, -x), log_q)

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_cells(
            x < 0, x, where=where,
            expected=f"a number of at least 0 in every cell, as {self.name} makes them",
            remedy="absolute-value, which takes any sign",
        )  # fmt: skip

    @property
    def _num_cells(self) -> int:
        return int(np.prod(self.x_shape))


def _logits(logits: Any, value: Array) -> Float[Array, "..."]:
    if logits is None:
        return jnp.zeros_like(value)
    found = parameters_at(logits, value)
    return found.reshape(value.shape) if callable(logits) else jnp.broadcast_to(found, value.shape)


def _log_signs(positive: Bool[Array, "..."], logits: Float[Array, "..."]) -> Float[Array, ""]:
    return jnp.sum(jax.nn.log_sigmoid(jnp.where(positive, logits, -logits)))


def _signed(
    value: Array, logits: Float[Array, "..."], key: PRNGKeyArray | None
) -> Float[Array, "..."]:
    positive = jax.random.bernoulli(required(key), jax.nn.sigmoid(logits))
    return jnp.where(positive, value, -value)
