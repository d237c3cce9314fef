"""Supports: where cells live, inferred from the values of a source, and the map onto model values.

A grid of L grey values is read as x = v / (L - 1). Whole-number types, and real numbers above 1, are
the source's own values v; real numbers that stay within [0, 1] are x already. Inference is by rule,
in this order:

    {0, 1}, or {0, 255} in images              binary
    images of whole numbers 0..m, m < 2^16     grey, L = m + 1 (8 or 16 bits once half of them is used)
    images of multiples of 1/255 up to 1       grey, L = 256
    images within [0, 1]                       unit
    tables of whole-number type, none below 0  count
    anything else                              real
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float, Shaped

from taut.data.schema import Binarize, Kind, Schema, Support
from taut.data.slabs import slabs
from taut.data.sources.raw_rows import RawRows, more_such_cells
from taut.data.sources.whole_numbers import is_wide, refuse_wide
from taut.data.sparse_rows import SparseRows
from taut.errors import InputError, option

__all__ = [
    "Facts",
    "Inferred",
    "check_values",
    "converted",
    "facts_of",
    "has_holes",
    "infer_support",
    "largest",
    "merged_facts",
    "model_values",
    "refuse_unbinarizable",
    "refuse_unheld",
    "support_of",
]

_FARTHEST = 1e150  # from which on squares of 10,000 rows no longer add up in float64

_MOST_LEVELS = 2**16


class Inferred(NamedTuple):
    """A support, its grid, and what a reader should know of the choice."""

    support: Support
    levels: int | None
    notes: tuple[str, ...] = ()


class Facts(NamedTuple):
    """What the rules ask of the values."""

    low: float
    high: float
    whole: bool  # every value is a whole number
    whole_type: bool  # the array's type holds nothing else
    byte: bool
    two_valued: bool  # nothing but 0 and `high`
    on_bytes: bool  # every value is a multiple of 1/255 up to 1


def infer_support(
    parts: Sequence[RawRows], kind: Kind, *, wish: str | None = None, intensities: bool = False
) -> Inferred:
    """The support of the values of all parts together.

    Arguments:
        parts: rows, NaN where a cell is missing.
        kind: `image` or `table`.
        wish: a support to use instead of the inferred one, where the values allow it.
        intensities: True to read a table by the rules for images, as a binarization implies.

    Raises:
        InputError: a wish that the values do not fit.
    """
    facts = merged_facts([facts_of(part.values, whole=part.whole) for part in parts])
    return support_of(facts, kind, parts[0].where, wish=wish, intensities=intensities)


def support_of(
    facts: Facts, kind: Kind, where: str, *, wish: str | None = None, intensities: bool = False
) -> Inferred:
    """As `infer_support`, from what is known of the values; `where` is for messages."""
    inferred = _by_rule(facts, "image" if intensities else kind)
    return inferred if wish is None else _wished(wish, facts, inferred, where)


def refuse_unbinarizable(inferred: Inferred, how: Binarize, where: str) -> None:
    """Refuse to binarize values that are no intensities."""
    if how != "none" and inferred.support not in ("binary", "grey", "unit"):
        raise InputError(
            "values in [0, 1] or on a grid of grey levels",
            f"values that read as '{inferred.support}'",
            option("binarize", "none"),
            where=f"{where}, binarize",
        )


def model_values(rows: RawRows, schema: Schema) -> Float[np.ndarray, "..."]:
    """The rows as a schema holds them, in its dtype, NaN where a cell is missing.

    Grey values that are to be binarized stay grey.

    Raises:
        InputError: a value outside the support or off the grid, with its place; a value that the
            dtype cannot hold.
    """
    check_values(rows, schema)
    x = converted(rows.values, schema, high=largest(rows.values))
    return x.copy() if x is rows.values else x


def check_values(rows: RawRows, schema: Schema) -> None:
    """Refuse values that a schema does not hold; missing cells pass.

    Raises:
        InputError: as `model_values`.
    """
    levels = schema.levels
    if schema.support == "binary" and schema.binarize == "none":
        ones = 1 if levels is None or largest(rows.values) <= 1 else levels - 1
        _refuse(rows, lambda v: (v != 0) & (v != ones), f"0 or {ones}", "two-valued data")
        return
    if schema.support in ("binary", "grey") and levels is not None:
        _check_codes(rows, levels - 1)
        return
    if schema.support in ("binary", "unit"):
        _refuse(rows, lambda v: (v < 0) | (v > 1), "a number from 0 to 1", "scaling the values")
    if schema.support == "count":
        whole = "a whole number that is not negative"
        _refuse(rows, lambda v: (v < 0) | (v != np.rint(v)), whole, option("support", "real"))

    def lost(v: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            x = v.astype(schema.dtype, copy=False)
        return x != v if schema.support == "count" else ~np.isfinite(x)

    _refuse(rows, lost, f"a number that {schema.dtype} holds", option("precision", "float64"))


def refuse_unheld(rows: RawRows) -> None:
    """Refuse numbers that have no squares in float64, and whole ones that it rounds together.

    Raises:
        InputError: the first such cell, or its column.
    """
    values = rows.values
    if not isinstance(values, np.ndarray) or values.dtype.itemsize < 8:
        return
    if values.dtype.kind == "f":
        far = f"numbers up to {_FARTHEST:g}, whose squares float64 holds"
        remedy = f"another unit, or {option('missing_codes')} if it stands for a missing cell"
        _refuse(rows, lambda v: (np.abs(v) > _FARTHEST) & np.isfinite(v), far, remedy)
        return
    if not is_wide(values):
        return
    for i, column in enumerate(values.reshape(len(values), -1).T):
        name = None if rows.columns is None else rows.columns[i]
        place = f"column {i}, counted from 0" if name is None else f"column '{name}'"
        refuse_wide(column, f"{rows.where}, {place}", name=name)


def converted(
    values: Shaped[np.ndarray, "..."], schema: Schema, *, high: float
) -> Float[np.ndarray, "..."]:
    """As `model_values` for values that are known to fit the schema, of which nothing is checked.

    Arguments:
        values: some of the source's values; they themselves come back where they need no change.
        schema: their form.
        high: the largest value of the whole source, which tells multiples of 1/(levels - 1) from
            whole numbers.
    """
    if (holes := _holes(values)) is not None:
        x = converted(np.where(holes, 0, values), schema, high=high)
        x[holes] = np.nan
        return x
    levels = schema.levels
    if schema.support == "binary" and schema.binarize == "none":
        return (values != 0).astype(schema.dtype)
    if schema.support in ("binary", "grey") and levels is not None:
        grid = (np.arange(levels) / (levels - 1)).astype(schema.dtype)
        if values.dtype.kind == "f":
            values = np.rint(values * float(levels - 1) if high <= 1 else values).astype(np.int32)
        return grid[values.astype(np.intp, copy=False)]
    return values.astype(schema.dtype, copy=False)


def _holes(values: Shaped[np.ndarray, "..."]) -> np.ndarray | None:
    """True at missing cells; None where there are none."""
    if values.dtype.kind != "f":
        return None
    holes = np.isnan(values)
    return holes if holes.any() else None


def has_holes(values: Shaped[np.ndarray, "N ..."] | SparseRows) -> bool:
    """Whether a cell is missing."""
    values = _told(values)
    return any(_holes(values[slab]) is not None for slab in slabs(values.shape))


def largest(values: Shaped[np.ndarray, "..."] | SparseRows) -> float:
    """The largest value that is there, 0 where all are below or missing."""
    return float(np.fmax.reduce(_told(values), axis=None, initial=0))


def _told(values: Shaped[np.ndarray, "..."] | SparseRows) -> Shaped[np.ndarray, "..."]:
    """All values, or those of sparse rows that are not zero and one zero, which tell as much."""
    return values.stored if isinstance(values, SparseRows) else values


def _check_codes(rows: RawRows, top: int) -> None:
    """Refuse values that have no position on the grid, 0..top."""
    shares = rows.values.dtype.kind == "f" and largest(rows.values) <= 1

    def off(v: np.ndarray) -> np.ndarray:
        if v.dtype.kind != "f":
            return (v < 0) | (v > top)
        scaled = v * float(top) if shares else v
        codes = np.rint(scaled)
        return (codes < 0) | (codes > top) | (np.abs(scaled - codes) > _tolerance(top))

    _refuse(
        rows,
        off,
        f"a whole number from 0 to {top}, or multiples of 1/{top} up to 1",
        "values on the grid of the data that the model was fitted to",
    )


def _tolerance(top: int) -> float:
    """How far from a whole number k the product of `top` and k/top in float32 may come out.

    Rounding moves it by 1.2e-7 top at most. A value off the grid passes by chance once in hundreds,
    so whole images never do.
    """
    return max(1e-6 * top, 1e-3)


def _by_rule(facts: Facts, kind: Kind) -> Inferred:
    if facts.low >= 0 and facts.high <= 1 and facts.whole:
        return Inferred("binary", 2)
    if kind == "table":
        if facts.whole_type and facts.low >= 0:
            note = "all values are whole numbers, none negative: read as counts"
            real = "(the option `support`, set to real, reads them as real)"
            return Inferred("count", None, (f"{note} {real}",))
        return Inferred("real", None)
    if facts.low >= 0 and facts.whole and facts.high < _MOST_LEVELS:
        levels = _depth(facts) + 1
        if facts.two_valued and facts.high == 255:
            return Inferred("binary", levels, ("all values are 0 or 255: read as 0 and 1",))
        if facts.byte or levels == facts.high + 1:
            return Inferred("grey", levels)
        return Inferred(
            "grey", levels, (f"values go up to {facts.high:.0f}: read as {levels} grey levels",)
        )
    if facts.low >= 0 and facts.high <= 1:
        return Inferred("grey", 256) if facts.on_bytes else Inferred("unit", None)
    return Inferred("real", None)


def _depth(facts: Facts) -> int:
    """The top of the grid: that of 8 or 16 bits where the type says so or over half is used."""
    if facts.byte or 127 < facts.high <= 255:
        return 255
    return 65535 if facts.high > 32767 else int(facts.high)


def _wished(wish: str, facts: Facts, inferred: Inferred, where: str) -> Inferred:
    as_image = _by_rule(facts, "image")
    fits = {
        "binary": as_image.support == "binary",
        "grey": as_image.support in ("binary", "grey"),
        "unit": facts.low >= 0 and facts.high <= 1,
        "count": facts.low >= 0 and facts.whole,
        "real": True,
    }
    if not fits[wish]:
        raise InputError(
            f"values that fit the support '{wish}'",
            f"values from {facts.low:g} to {facts.high:g}, which read as '{inferred.support}'",
            option("support", inferred.support),
            where=where,
        )
    return Inferred(cast(Support, wish), as_image.levels if wish in ("binary", "grey") else None)


def facts_of(values: Shaped[np.ndarray, "N ..."] | SparseRows, *, whole: bool = False) -> Facts:
    """What the rules ask, of the values that are there: NaN is none.

    Arguments:
        values: one or more.
        whole: the source's type holds whole numbers alone.
    """
    values = _told(values)
    return merged_facts([_facts_of(values[slab], whole) for slab in slabs(values.shape)])


def _facts_of(values: Shaped[np.ndarray, "N ..."], whole: bool) -> Facts:
    if (holes := _holes(values)) is not None:
        values = values[~holes]
    if not values.size:  # nothing but missing cells: of all rules only those of other parts hold
        return Facts(np.inf, -np.inf, *(True,) * 5)
    low, high = float(values.min()), float(values.max())
    whole_type = whole or values.dtype.kind in "biu"
    on_bytes = False
    if not whole_type and low >= 0 and high <= 1:
        bytes_ = values * 255.0
        on_bytes = bool((np.abs(bytes_ - np.rint(bytes_)) <= _tolerance(255)).all())
    return Facts(
        low=low,
        high=high,
        whole=whole_type or bool((values == np.rint(values)).all()),
        whole_type=whole_type,
        byte=values.dtype == np.uint8,
        two_valued=bool(((values == 0) | (values == high)).all()),
        on_bytes=on_bytes,
    )


def merged_facts(facts: Sequence[Facts]) -> Facts:
    """What holds of the values of all parts together."""
    facts = [f for f in facts if f.low <= f.high] or facts
    high = max(f.high for f in facts)
    return Facts(
        low=min(f.low for f in facts),
        high=high,
        whole=all(f.whole for f in facts),
        whole_type=all(f.whole_type for f in facts),
        byte=all(f.byte for f in facts),
        two_valued=all(f.two_valued and f.high in (0, high) for f in facts),
        on_bytes=all(f.on_bytes for f in facts),
    )


def _refuse(
    rows: RawRows, bad_of: Callable[[np.ndarray], np.ndarray], expected: str, remedy: str
) -> None:
    """Refuse rows in which a function finds bad cells among those that are there."""

    all_values = rows.values
    if isinstance(all_values, SparseRows):
        all_values = all_values.matrix.data  # zero is in every support and on every grid

    def found(slab: slice) -> np.ndarray:
        values = all_values[slab]
        holes = _holes(values)
        return bad_of(values if holes is None else np.where(holes, 0, values))

    slices = list(slabs(all_values.shape))
    if not any(found(slab).any() for slab in slices):
        return
    bad = np.concatenate([found(slab) for slab in slices])
    first = np.unravel_index(int(bad.argmax()), bad.shape)
    got = f"{all_values[first]:g}"
    if isinstance(rows.values, SparseRows):
        first = rows.values.place(int(first[0]))
    row, *cell = map(int, first)
    got += more_such_cells(int(bad.sum()) - 1)
    raise InputError(expected, got, remedy, where=f"{rows.where}, {rows.place(row, cell)}")
