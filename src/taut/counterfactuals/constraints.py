"""Constraints on answers of tables: columns that stay or go one way, ranges, whole numbers, one-hot.

    lo_j <= x_j <= hi_j,      lo, hi of a row from its own cells where a column stays or goes one way
    x_j = o_j + s_j k,        k a whole number, on a grid of step s_j from the origin o_j

Every point of a search is clipped to this box before it is judged, so that the ascent knows of it.
Values of grids and one-hot groups are made of the answer at the end; it is then judged again, and one
that they have cost the target is returned as failed. The columns that a fit knows to be whole numbers,
categories, or rounded to a step have grids without being named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from taut.core import InputError
from taut.counterfactuals.causal import CausalOrder
from taut.data import Schema
from taut.errors import nearest

__all__ = ["Box", "Constraints", "Grids"]

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
        causal: orders of columns, causes first; see `taut.counterfactuals.causal`.
    """

    immutable: Sequence[Column] = ()
    rising: Sequence[Column] = ()
    falling: Sequence[Column] = ()
    ranges: Mapping[Column, tuple[float, float]] = field(default_factory=dict)
    whole: Sequence[Column] = ()
    one_hot: Sequence[Sequence[Column]] = ()
    causal: Sequence[Sequence[Column]] = ()

    def box(
        self,
        size: int,
        columns: Sequence[str] | None,
        x: np.ndarray,
        grids: "Grids | None" = None,
        draws: np.ndarray | None = None,
    ) -> "Box":
        """The constraints by number of column.

        Arguments:
            size: of a row.
            columns: their names, where they have some.
            x: the rows that are searched, (N, size).
            grids: where the values of a fit's columns lie; None for anywhere.
            draws: rows of the model, (S, size), which a causal order needs.

        Raises:
            InputError: no such column; a constraint that contradicts another one or a row.
        """

        def places(given: Sequence[Column]) -> list[int]:
            return [_place(column, size, columns) for column in given]

        ways = self._ways(places)
        low, high, step, origin = (np.array(ends) for ends in grids or Grids.none(size))
        ranges = list(zip(places(list(self.ranges)), self.ranges.items(), strict=True))
        for place, (column, asked) in ranges:
            where = f"constraints, '{column}'"
            low[place], high[place] = _narrowed((low[place], high[place]), asked, where)
            _check_reached(x[:, place], asked, ways.get(place, ""), where)
        whole = places(self.whole)
        step[whole], origin[whole] = 1.0, 0.0
        for place, (column, _) in ranges:
            ends = low[place], high[place]
            _check_holds_a_value(ends, step[place], origin[place], f"constraints, '{column}'")
        orders = [tuple(places(order)) for order in self.causal]
        _check_orders(self.causal, orders, draws)
        return Box(
            low=low, high=high,
            rising=np.array([ways.get(i) in ("immutable", "rising") for i in range(size)]),
            falling=np.array([ways.get(i) in ("immutable", "falling") for i in range(size)]),
            step=step, origin=origin,
            one_hot=tuple(tuple(places(group)) for group in self.one_hot),
            causal=tuple(
                CausalOrder.of(o, draws, step, origin) for o in orders if draws is not None
            ),
        )  # fmt: skip

    def _ways(self, places: Callable[[Sequence[Column]], list[int]]) -> dict[int, str]:
        """The way that each column goes which may not go every way, by its number.

        Raises:
            InputError: two ways for one column.
        """
        asked = {"immutable": self.immutable, "rising": self.rising, "falling": self.falling}
        ways: dict[int, str] = {}
        for way, given in asked.items():
            for place, column in zip(places(given), given, strict=True):
                if place in ways:
                    raise InputError(
                        "one way for each column", f"'{column}' as {ways[place]} and {way}",
                        "immutable, for one that goes neither up nor down", where="constraints",
                    )  # fmt: skip
                ways[place] = way
        return ways


class Grids(NamedTuple):
    """Where the values of columns lie, each (D,).

    Attributes:
        low, high: least and largest value; infinite for none.
        step: of the grid; 0 for none.
        origin: where it begins.
    """

    low: Float[np.ndarray, " D"]
    high: Float[np.ndarray, " D"]
    step: Float[np.ndarray, " D"]
    origin: Float[np.ndarray, " D"]

    @classmethod
    def none(cls, size: int) -> "Grids":
        """Anywhere."""
        return cls(np.full(size, -np.inf), np.full(size, np.inf), np.zeros(size), np.zeros(size))

    @property
    def bind(self) -> bool:
        """Whether there is a value that some column does not have."""
        return bool(self.step.any() or np.isfinite(self.low).any() or np.isfinite(self.high).any())

    @classmethod
    def of(cls, schema: Schema) -> "Grids":
        """Of the columns of a table."""
        found = cls.none(schema.size)
        kinds = (
            [column.kind for column in schema.kinds] if schema.kinds is not None
            else [schema.support] * schema.size
        )  # fmt: skip
        levels = (
            [len(column.names) for column in schema.kinds] if schema.kinds is not None
            else [schema.levels or 0] * schema.size
        )  # fmt: skip
        for i, (kind, most) in enumerate(zip(kinds, levels, strict=True)):
            if kind in ("count", "binary", "categorical", "ordinal"):
                found.low[i], found.step[i] = 0.0, 1.0
            if kind in ("grey", "unit"):
                found.low[i], found.high[i] = 0.0, 1.0
            if kind == "grey":
                found.step[i] = 1 / (most - 1)
            elif kind == "binary":
                found.high[i] = 1.0
            elif kind in ("categorical", "ordinal") and most:
                found.high[i] = most - 1.0
        found.step[list(schema.whole or ())] = 1.0
        for i in schema.gridded:
            assert schema.steps is not None
            assert schema.origins is not None
            found.step[i], found.origin[i] = schema.steps[i], schema.origins[i]
            if not schema.origins[i]:
                found.low[i] = 0.0
        return found


class Box(eqx.Module):
    """Constraints by number of column.

    Attributes:
        low, high: ranges, (D,).
        rising, falling: where a row's own value is the lower, the upper bound.
        step, origin: of the grid of each column, (D,); step 0 for none.
        one_hot: see `Constraints`.
        causal: orders of columns.
    """

    low: Float[np.ndarray, " D"]
    high: Float[np.ndarray, " D"]
    rising: Bool[np.ndarray, " D"]
    falling: Bool[np.ndarray, " D"]
    step: Float[np.ndarray, " D"]
    origin: Float[np.ndarray, " D"]
    one_hot: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    causal: tuple[CausalOrder, ...] = ()

    def clip(self, x: Array, x0: Array) -> Array:
        """The nearest point of the box of the row x0."""
        low, high = self._ends(x0)
        return jnp.clip(x, low.astype(x.dtype), high.astype(x.dtype))

    @property
    def repairs(self) -> bool:
        """Whether answers are changed at the end."""
        return bool(self.step.any() or self.one_hot or self.causal)

    def repaired(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Answers (N, D) to rows (N, D) on the grids within the box, and with one-hot groups and
        columns that follow their causes."""
        x = self.rounded(x, x0)
        for order in self.causal:
            x = order.followed(x, x0)
        if not self.causal:
            return x
        return self.rounded(np.asarray(self.clip(jnp.asarray(x), jnp.asarray(x0))), x0)

    def rounded(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Answers on the grids within the box, and with one-hot groups."""
        x = np.array(x)
        on = self.step > 0
        step, origin = self.step[on], self.origin[on]
        ends = ((np.broadcast_to(end, x.shape)[:, on] - origin) / step for end in self._ends(x0))
        least, most = next(ends) - _ROUNDING, next(ends) + _ROUNDING
        places = np.rint((x[:, on] - origin) / step)
        x[:, on] = origin + step * np.minimum(np.maximum(places, np.ceil(least)), np.floor(most))
        for group in self.one_hot:
            places = list(group)
            chosen = x[:, places].argmax(axis=1)
            x[:, places] = np.eye(len(places), dtype=x.dtype)[chosen]
        return x

    def violated(self, x: np.ndarray, x0: np.ndarray) -> np.ndarray:
        """Which answers lie outside of what was asked for, (N,)."""
        slack = _ROUNDING * (1 + np.abs(x))
        outside = np.abs(np.asarray(self.clip(jnp.asarray(x), jnp.asarray(x0))) - x) > slack
        on = self.step > 0
        step, origin = self.step[on], self.origin[on]
        places = (x[:, on] - origin) / step
        rounding = 4 * np.finfo(x.dtype).eps * (1 + (np.abs(x[:, on]) + np.abs(origin)) / step)
        off = np.abs(places - np.rint(places)) > rounding
        bad = outside.any(axis=1) | off.any(axis=1)
        for group in self.one_hot:
            cells = x[:, list(group)]
            bad |= ~(np.isin(cells, (0, 1)).all(axis=1) & (cells.sum(axis=1) == 1))
        for order in self.causal:
            bad |= order.violated(x, x0)
        return bad

    def _ends(self, x0: Any) -> tuple[Any, Any]:
        """The least and the largest values of the row x0."""
        low = jnp.where(self.rising, jnp.maximum(x0, self.low), self.low)
        high = jnp.where(self.falling, jnp.minimum(x0, self.high), self.high)
        return low, high


def _narrowed(
    known: tuple[float, float], asked: tuple[float, float], where: str
) -> tuple[float, float]:
    """The values of a column within the range that is asked for.

    Raises:
        InputError: a range that is upside down, or that holds none of them.
    """
    least, most = asked
    if not least <= most:
        raise InputError(
            "a range whose lower end is below its upper end", f"{least} to {most}",
            f"{most} to {least}", where=where,
        )  # fmt: skip
    low, high = max(least, known[0]), min(most, known[1])
    if not low <= high:
        raise InputError(
            f"a range that meets the values of the column, {known[0]:g} to {known[1]:g}",
            f"{least:g} to {most:g}", "another range", where=where,
        )  # fmt: skip
    return low, high


def _check_reached(cells: np.ndarray, asked: tuple[float, float], way: str, where: str) -> None:
    """Refuse a range that a row, whose cell goes one way or stays, cannot get into."""
    least, most = asked
    for bad, of in ((cells < least, "falling"), (cells > most, "rising")):
        if way in ("immutable", of) and bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"a range that its rows can reach, for a column that is {way}",
                f"{cells[row]:g} in row {row} for {least:g} to {most:g}",
                "a wider range, or leaving that row out", where=where,
            )  # fmt: skip


def _check_holds_a_value(ends: tuple[float, float], step: float, origin: float, where: str) -> None:
    """Refuse a range between two neighbours of the column's grid."""
    if step <= 0:
        return
    least, most = ((end - origin) / step for end in ends)
    if np.ceil(least - _ROUNDING) > np.floor(most + _ROUNDING):
        raise InputError(
            f"a range with a value of the column, {origin:g} and steps of {step:g} from there",
            f"{ends[0]:g} to {ends[1]:g}", "a wider range", where=where,
        )  # fmt: skip


def _check_orders(
    given: Sequence[Sequence[Column]], orders: list[tuple[int, ...]], draws: np.ndarray | None
) -> None:
    every = [place for order in orders for place in order]
    short = next((order for order in given if len(order) < 2), None)
    if short is not None:
        raise InputError(
            "two columns or more in a causal order", f"{len(short)}", '("age", "income")',
            where="constraints, causal",
        )  # fmt: skip
    if len(set(every)) < len(every):
        raise InputError(
            "each column once in all causal orders", f"{given}", "one order that has them all",
            where="constraints, causal",
        )  # fmt: skip
    if orders and draws is None:
        raise InputError(
            "a fit, whose rows tell what follows a change, for a causal order",
            "functions (encode, decode)", "what `taut.fit` or `taut.load` returned",
            where="constraints, causal",
        )  # fmt: skip


def _place(column: Column, size: int, columns: Sequence[str] | None) -> int:
    if isinstance(column, str) and column in (columns or ()):
        return list(columns or ()).index(column)
    if isinstance(column, int) and 0 <= column < size:
        return column
    named = nearest(str(column), columns) if columns else f"a number from 0 to {size - 1}"
    raise InputError("a column of the rows", repr(column), named, where="constraints")
