"""Max pooling: z is the largest cell of each block.

    z_b = max of the block b of x,
    log p(x | z) = sum over b of log p(k_b | z) + sum over j != k_b of log f(z_b - x_bj)

k_b says which cell holds the maximum; the others lie below it by independent decrements of density f on
the positive half-line, exponential or half-normal. Exact.

Source: Nielsen et al., SurVAE Flows (2020), section 3.1, max surjection.
"""

import math
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import LOG_LIKELIHOOD, InputError, Terms
from taut.transforms.abstract import Key
from taut.transforms.conditional import parameters_at, required
from taut.transforms.surjections.abstract import AbstractInferenceSurjection

__all__ = ["MaxPooling"]


class MaxPooling(AbstractInferenceSurjection):
    """The maximum of each block of `window` cells.

    Arguments:
        x_shape: (*x).
        window: size of a block along each axis; it divides x's.
        position: logits of the cell that holds the maximum, in the row-major order of a block's w
            cells: (w,), or a network from z to as many numbers as x has; None for equal chances.
        log_scale: logarithm of the decrements' scale: an array that broadcasts to z, or a network from
            z to as many numbers.
        decrement: density of a decrement d: exp(-d/s)/s, or 2 N(d; 0, s^2).

    Raises:
        InputError: a window that does not divide x.
    """

    name: ClassVar[str] = "max-pooling"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    window: tuple[int, ...] = eqx.field(static=True)
    decrement: Literal["exponential", "half-normal"] = eqx.field(static=True)
    position: Any
    log_scale: Any

    def __init__(
        self,
        x_shape: tuple[int, ...],
        window: tuple[int, ...],
        *,
        position: Any = None,
        log_scale: Any = 0.0,
        decrement: Literal["exponential", "half-normal"] = "exponential",
    ):
        if len(window) != len(x_shape) or any(n % w for n, w in zip(x_shape, window, strict=True)):
            raise InputError(
                f"a window that divides the shape {x_shape}",
                f"{window}",
                "a divisor for each axis, or a padded shape",
                where="window",
            )
        self.x_shape = x_shape
        self.z_shape = tuple(n // w for n, w in zip(x_shape, window, strict=True))
        self.window = window
        self.decrement = decrement
        self.position = position
        self.log_scale = jnp.asarray(log_scale) if isinstance(log_scale, float) else log_scale

    def latent_of(self, x: Any) -> Any:
        return jnp.max(self._blocks(x), axis=-1)

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        position_key, decrement_key = jax.random.split(required(key))
        log_chances, scale = self._parameters(z)
        held = jax.random.categorical(position_key, log_chances)
        draw = jax.random.exponential if self.decrement == "exponential" else jax.random.normal
        noise = jnp.abs(draw(decrement_key, (*self.z_shape, self._block_size), dtype=z.dtype))
        below = z[..., None] - scale[..., None] * noise
        return self._unblocked(jnp.where(self._at(held), z[..., None], below))

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        blocks = self._blocks(x)
        log_chances, scale = self._parameters(z)
        at_max = self._at(jnp.argmax(blocks, axis=-1))
        cells = jnp.where(at_max, log_chances, self._log_density(z[..., None] - blocks, scale))
        return {LOG_LIKELIHOOD: jnp.sum(cells)}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        log_chances, scale = self._parameters(z)
        mean_decrement = scale * (1 if self.decrement == "exponential" else math.sqrt(2 / math.pi))
        below = (1 - jnp.exp(log_chances)) * mean_decrement[..., None]
        return self._unblocked(z[..., None] - below)

    def _parameters(self, z: Float[Array, "*z"]) -> tuple[Float[Array, "*z w"], Float[Array, "*z"]]:
        """Log-chances of each cell of a block, and the decrements' scale."""
        shape = (*self.z_shape, self._block_size)
        logits = jnp.zeros(shape) if self.position is None else parameters_at(self.position, z)
        logits = logits.reshape(shape) if callable(self.position) else logits
        log_scale = parameters_at(self.log_scale, z)
        if callable(self.log_scale):
            log_scale = log_scale.reshape(self.z_shape)
        log_chances = jnp.broadcast_to(jax.nn.log_softmax(logits), shape)
        return log_chances, jnp.broadcast_to(jnp.exp(log_scale), self.z_shape)

    def _log_density(
        self, decrement: Float[Array, "*z w"], scale: Float[Array, "*z"]
    ) -> Float[Array, "*z w"]:
        ratio, log_scale = decrement / scale[..., None], jnp.log(scale)[..., None]
        if self.decrement == "exponential":
            return -ratio - log_scale
        return -0.5 * ratio**2 - log_scale + 0.5 * math.log(2 / math.pi)

    def _at(self, held: Array) -> Array:
        return held[..., None] == jnp.arange(self._block_size)

    @property
    def _block_size(self) -> int:
        return math.prod(self.window)

    def _blocks(self, x: Float[Array, "*x"]) -> Float[Array, "*z w"]:
        axes = len(self.x_shape)
        split = [n for pair in zip(self.z_shape, self.window, strict=True) for n in pair]
        order = [*range(0, 2 * axes, 2), *range(1, 2 * axes, 2)]
        return x.reshape(split).transpose(order).reshape(*self.z_shape, self._block_size)

    def _unblocked(self, blocks: Float[Array, "*z w"]) -> Float[Array, "*x"]:
        axes = len(self.x_shape)
        order = [axis for a in range(axes) for axis in (a, axes + a)]
        return blocks.reshape(*self.z_shape, *self.window).transpose(order).reshape(self.x_shape)
