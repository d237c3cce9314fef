"""Constraints on answers of tables: columns that stay or go one way, ranges, whole numbers, one-hot.

    lo_j <= x_j <= hi_j,      lo, hi of a row from its own cells where a column stays or goes one way

Every point of a search is clipped to this box before it is judged, so that the ascent knows of it. Whole
numbers and one-hot groups are made of the answer at the end; it is then judged again, and one that they
have cost the target is returned as failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from taut.core import InputError
from taut.errors import nearest

__all__ = ["Box", "Constraints"]

_ROUNDING = 1e-5  # of a cell's size, that float32 may be off a bound

Column = str | int


@dataclass(frozen=True)
class Constraints:
    """What answers must satisfy; columns by name, or by number from 0.

    Attributes:
        immutable: columns that stay as they are.
        rising, falling: columns that never become less, or more.
        ranges: least and largest value, by column.
        whole: columns of whole numbers.
        one_hot: groups of columns of which one is 1 and the others are 0.
    """

    immutable: Sequence[Column] = ()
    rising: Sequence[Column] = ()
    falling: Sequence[Column] = ()
    ranges: Mapping[Column, tuple[float, float]] = field(default_factory=dict)
    whole: Sequence[Column] = ()
    one_hot: Sequence[Sequence[Column]] = ()

    def box(self, size: int, columns: Sequence[str] | None, x: np.ndarray) -> "Box":
        """The constraints by number of column.

        Arguments:
            size: of a row.
            columns: their names, where they have some.
            x: the rows that are searched, (N, size).

        Raises:
            InputError: no such column; a constraint that contradicts another one or a row.
        """

        def places(given: Sequence[Column]) -> list[int]:
            return [_place(column, size, columns) for column in given]

        ways = {"immutable": self.immutable, "rising": self.rising, "falling": self.falling}
        known: dict[int, str] = {}
        for way, given in ways.items():
            for place, column in zip(places(given), given, strict=True):
                if place in known:
                    raise InputError(
                        "one way for each column", f"'{column}' as {known[place]} and {way}",
                        "immutable, for one that goes neither up nor down", where="constraints",
                    )  # fmt: skip
                known[place] = way
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        for column, (least, most) in self.ranges.items():
            place = _place(column, size, columns)
            if not least <= most:
                raise InputError(
                    "a range whose lower end is below its upper end", f"{least} to {most}",
                    f"{most} to {least}", where=f"constraints, '{column}'",
                )  # fmt: skip
            low[place], high[place] = least, most
            way = known.get(place, "")
            for bad, of in ((x[:, place] < least, "falling"), (x[:, place] > most, "rising")):
                if way in ("immutable", of) and bad.any():
                    row = int(np.flatnonzero(bad)[0])
                    raise InputError(
                        f"a range that its rows can reach, for a column that is {way}",
                        f"{x[row, place]:g} in row {row} for {least:g} to {most:g}",
                        "a wider range, or leaving that row out", where=f"constraints, '{column}'",
                    )  # fmt: skip
        rising = np.array([known.get(i) in ("immutable", "rising") for i in range(size)])
        falling = np.array([known.get(i) in ("immutable", "falling") for i in range(size)])
        groups = tuple(tuple(places(group)) for group in self.one_hot)
        return Box(low, high, rising, falling, tuple(places(self.whole)), groups)


class Box(eqx.Module):
    """Constraints by number of column.

    Attributes:
        low, high: ranges, (D,).
        rising, falling: where a row's own value is the lower, the upper bound.
        whole, one_hot: see `Constraints`.
    """

    low: Float[np.ndarray, " D"]
    high: Float[np.ndarray, " D"]
    rising: Bool[np.ndarray, " D"]
    falling: Bool[np.ndarray, " D"]
    whole: tuple[int, ...] = eqx.field(static=True)
    one_hot: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def clip(self, x: Array, x0: Array) -> Array:
        """The nearest point of the box of the row x0."""
        low = jnp.where(self.rising, jnp.maximum(x0, self.low), self.low)
        high = jnp.where(self.falling, jnp.minimum(x0, self.high), self.high)
        return jnp.clip(x, low.astype(x.dtype), high.astype(x.dtype))

    @property
    def rounds(self) -> bool:
        """Whether answers are rounded at the end."""
        return bool(self.whole or self.one_hot)

    def repaired(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Answers (N, D) to rows (N, D) with whole numbers and one-hot groups."""
        x = x.copy()
        whole = list(self.whole)
        x[:, whole] = np.rint(x[:, whole])
        for group in self.one_hot:
            places = list(group)
            chosen = x[:, places].argmax(axis=1)
            x[:, places] = np.eye(len(places), dtype=x.dtype)[chosen]
        return x

    def violated(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Which answers lie outside of what was asked for, (N,)."""
        slack = _ROUNDING * (1 + np.abs(x))
        outside = np.abs(np.asarray(self.clip(jnp.asarray(x), jnp.asarray(x0))) - x) > slack
        bad = outside.any(axis=1) | (np.rint(x) != x)[:, list(self.whole)].any(axis=1)
        for group in self.one_hot:
            cells = x[:, list(group)]
            bad |= ~(np.isin(cells, (0, 1)).all(axis=1) & (cells.sum(axis=1) == 1))
        return bad


def _place(column: Column, size: int, columns: Sequence[str] | None) -> int:
    if isinstance(column, str) and column in (columns or ()):
        return list(columns or ()).index(column)
    if isinstance(column, int) and 0 <= column < size:
        return column
    named = nearest(str(column), columns) if columns else f"a number from 0 to {size - 1}"
    raise InputError("a column of the rows", repr(column), named, where="constraints")
