"""`ColumnDequantization`: noise within the steps of the columns that lie on a grid, none in the others.

    x_d = o_d + s_d k,  z_d = x_d + s_d u,  u ~ U(0, 1)      on a grid of step s_d from the origin o_d
    z_d = x_d                                               elsewhere

A density over z says of the first columns how probable their values are, and of the others how dense:

    log P(x_grid, dx_rest) >= E[log p(z)] + sum over grids of log s_d

As `Dequantization`, column by column. A grid from 0 on has no values below it: what decodes there is 0,
and the bound leaves that mass out.

Source: Theis, van den Oord and Bethge, "A note on the evaluation of generative models" (2016), section
3.1.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import DENSITY, MASS, NEG_LOG_Q, InputError, Terms
from taut.transforms.abstract import Encoded, Key
from taut.transforms.conditional import required
from taut.transforms.surjections.abstract import AbstractGenerativeSurjection
from taut.transforms.surjections.fibres import refuse_cells

__all__ = ["ColumnDequantization"]

_OFF_GRID = 0.02  # of a step
_ROUNDING = 1e-5  # of a step: noise keeps that far from the ends of its cell, as float32 needs


class ColumnDequantization(AbstractGenerativeSurjection):
    """z = x + s u in the columns with a step.

    Attributes:
        steps: s, positive; 0 for a column without a grid.
        origins: o.
    """

    name: ClassVar[str] = "column-dequantization"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    steps: tuple[float, ...] = eqx.field(static=True)
    origins: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, steps: tuple[float, ...], origins: tuple[float, ...]):
        if len(steps) != len(origins) or min(steps, default=0.0) < 0:
            raise InputError(
                "a step of at least 0 and an origin for each column", f"{steps} and {origins}",
                "step 0 for a column without a grid", where="steps",
            )  # fmt: skip
        self.x_shape = self.z_shape = (len(steps),)
        self.steps, self.origins = steps, origins

    @property
    def cell_kinds(self) -> tuple[str, ...]:
        return tuple(MASS if step else DENSITY for step in self.steps)

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        x = jnp.asarray(x, jnp.result_type(float))
        u = jax.random.uniform(required(key), x.shape, x.dtype, _ROUNDING, 1 - _ROUNDING)
        step, origin, on_grid = self._grid(x.dtype)
        z = jnp.where(on_grid, origin + step * (self._places(x) + u), x)
        return Encoded(z, {NEG_LOG_Q: self._neg_log_q(x)})

    def data_of(self, z: Any) -> Any:
        z = jnp.asarray(z, jnp.result_type(float))
        step, origin, on_grid = self._grid(z.dtype)
        k = jnp.floor((z - origin) / step)
        k = jnp.where(origin == 0, jnp.maximum(k, 0), k)
        return jnp.where(on_grid, origin + step * k, z)

    def middle_of(self, x: Any) -> Any:
        """The middle of the cell of z that x stands for."""
        step, origin, on_grid = self._grid(jnp.result_type(float))
        return jnp.where(on_grid, origin + step * (self._places(x) + 0.5), x)

    def relaxed(self, z: Any) -> Any:
        """x whose cell has its middle at z: smooth, and `data_of` to within half a step."""
        step, _, on_grid = self._grid(jnp.result_type(float))
        return jnp.where(on_grid, z - 0.5 * step, z)

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        x = jnp.asarray(x, jnp.result_type(float))
        step, origin, on_grid = self._grid(x.dtype)
        u = (z - origin) / step - self._places(x)
        inside = jnp.all(jnp.where(on_grid, (u >= 0) & (u <= 1), z == x))
        return {NEG_LOG_Q: jnp.where(inside, self._neg_log_q(x), -jnp.inf)}

    def check(self, x: np.ndarray, *, where: str) -> None:
        step, origin, on_grid = (np.asarray(a) for a in self._grid(np.float64))
        places = (np.asarray(x, np.float64) - origin) / step
        bad = on_grid & (
            (np.abs(places - np.rint(places)) > _OFF_GRID) | self._below(places, origin)
        )
        columns = np.flatnonzero(bad.any(axis=0))
        grid = (
            "" if not len(columns) else f"{origin[columns[0]]:g} and steps of {step[columns[0]]:g}"
        )
        refuse_cells(
            bad, np.asarray(x), where=where,
            expected=f"a value on the grid of its column, {grid}, as all values were that were fitted",
            remedy="rows on that grid, or fitting again with these among the data",
        )  # fmt: skip

    def _neg_log_q(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """sum log s where every value lies on its grid, else -inf."""
        step, origin, on_grid = self._grid(x.dtype)
        places = (x - origin) / step
        off = (jnp.abs(places - jnp.rint(places)) > _OFF_GRID) | self._below(places, origin)
        volume = jnp.sum(jnp.where(on_grid, jnp.log(step), 0.0))
        return jnp.where(jnp.any(on_grid & off), -jnp.inf, volume)

    def _places(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        step, origin, _ = self._grid(x.dtype)
        return jnp.rint((x - origin) / step)

    def _below(self, places: Any, origin: Any) -> Any:
        return (origin == 0) & (places < -_OFF_GRID)

    def _grid(self, dtype: Any) -> tuple[Any, Any, Any]:
        """Steps, 1 where there is none, origins, and which columns have a grid."""
        steps = np.asarray(self.steps, dtype)
        return np.where(steps > 0, steps, 1), np.asarray(self.origins, dtype), steps > 0
