"""`Units`: the affine map between a column's own units and the standardised ones a network sees.

    u = (x - shift) / scale,        log p(x) = log p(u) - sum log scale

Learned from the training rows, never by gradient. Log-densities stay in the original units. An encoder
reads counts by such a map of their logarithms, with one scale for all columns (`LogCounts`).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["LogCounts", "Units"]


class Units(eqx.Module):
    """Shift and scale per cell.

    Attributes:
        shift: of the data's shape, in its units.
        scale: of the data's shape, in its units, positive.
    """

    shift: Float[Array, "..."]
    scale: Float[Array, "..."]

    def standardize(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """From the data's units to standardised ones."""
        return (x - jax.lax.stop_gradient(self.shift)) / jax.lax.stop_gradient(self.scale)

    def restore(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """From standardised units to the data's."""
        return u * jax.lax.stop_gradient(self.scale) + jax.lax.stop_gradient(self.shift)

    def log_volume(self, mask: Bool[Array, "..."] | None = None) -> Float[Array, ""]:
        """log |det du/dx| over the observed cells, (); nats."""
        log_scale = jnp.log(jax.lax.stop_gradient(self.scale))
        return -jnp.sum(log_scale if mask is None else jnp.where(mask, log_scale, 0.0))


class LogCounts(eqx.Module):
    """How an encoder reads counts: u = (log(1 + x) - shift) / scale.

    Attributes:
        units: of the logarithms; the scale is the same for all cells.
    """

    units: Units

    @classmethod
    def start(cls, shape: tuple[int, ...]) -> "LogCounts":
        """Logarithms as they are."""
        return cls(Units(jnp.zeros(shape), jnp.ones(shape)))

    def standardize(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """From counts to what the encoder reads."""
        return self.units.standardize(jnp.log1p(x))
