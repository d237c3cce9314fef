"""`Scale`: a positive parameter of a density that is shared or comes from the decoder.

    scale = floor + softplus(raw)

The floor bounds the density: a location-scale family with density at most c / scale gains at most
log(c / floor) nats from a cell, also where a column is constant.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import InputError, nearest, option

__all__ = ["Scale", "positive", "raw_of"]

_PER = ("model", "dimension", "datum")


class Scale(eqx.Module):
    """One scale for all cells, one per dimension, or one per cell and row.

    Arguments:
        per: `model` (one learned scalar), `dimension` (one learned for each cell of `shape`) or
            `datum` (a decoder output for each cell).
        shape: shape of one row of data.
        floor: the smallest scale, in units of the data; positive.

    Attributes:
        raw: the learned parameter, () or `shape`; None where the decoder gives it.
    """

    raw: Float[Array, "..."] | None
    per: str = eqx.field(static=True)
    floor: float = eqx.field(static=True)

    def __init__(self, per: str, *, shape: tuple[int, ...], floor: float):
        if per not in _PER:
            raise InputError(
                f"a scale per {', '.join(_PER)}", repr(per), nearest(per, _PER), where="scale"
            )
        if not floor > 0:
            raise InputError(
                "a positive floor",
                str(floor),
                option("likelihood_floor", 1e-3),
                where=option("likelihood_floor"),
            )
        self.per, self.floor = per, float(floor)
        # Scales start at 1, or at the floor's double where that is larger.
        start = raw_of(max(1.0 - floor, floor))
        self.raw = None if per == "datum" else jnp.full(() if per == "model" else shape, start)

    @property
    def num_outputs(self) -> int:
        return 1 if self.per == "datum" else 0

    def __call__(self, outputs: Float[Array, "scales *data"]) -> Float[Array, "..."]:
        """The scale, broadcastable to the data; `outputs` holds `num_outputs` of them per cell."""
        return positive(outputs[0] if self.raw is None else self.raw, floor=self.floor)

    def started_at(
        self, variance: Float[Array, "*data"]
    ) -> tuple["Scale", Float[Array, "scales *data"]]:
        """Itself and its outputs at the variances of the columns, of constant ones their mean."""
        mean = jnp.mean(variance)
        own = mean if self.per == "model" else jnp.where(variance > 0, variance, mean)
        raw = raw_of(jnp.maximum(jnp.sqrt(own) - self.floor, self.floor))
        if self.raw is None:
            return self, raw[None]
        moved = eqx.tree_at(lambda s: s.raw, self, raw.astype(self.raw.dtype))
        return moved, jnp.zeros((0, *variance.shape), raw.dtype)


def positive(raw: Float[Array, "*shape"], *, floor: float) -> Float[Array, "*shape"]:
    """floor + softplus(raw)."""
    return floor + jax.nn.softplus(raw)


def raw_of(value: float | Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The raw parameter with softplus(raw) = value > 0."""
    value_ = jnp.asarray(value, dtype=jnp.result_type(float))
    return value_ + jnp.log(-jnp.expm1(-value_))  # log(e^v - 1) without its overflow
