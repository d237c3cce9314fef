"""`Column`: what one column of a table of several kinds is, inferred from its values.

    text                                       categorical: codes of the names, in alphabetical order
    one value, or none                         constant: no part of the density
    0 and 1                                    binary
    whole numbers, none negative               count
    all above 0, with a long tail upwards      positive
    other numbers                              real

A long tail: the skewness is above 2, and that of the logarithms is less than half of it. Text with more
than 1,000 different names, or with another one in more than half of at least 20 rows, names rows or is
prose, and is refused; so are numbers with a currency or percent sign, which are no names.

For an encoder, and for a density on the real line, a number is standardised as

    u = (t(x) - shift) / scale,        t = log of positive numbers, log(1 + x) of counts, else x

with moments over the observed cells of the training rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from taut.data.sources.raw_rows import RawRows
from taut.errors import InputError, nearest, option

__all__ = [
    "Column",
    "ColumnKind",
    "as_written",
    "asked_kinds",
    "check_unseen",
    "column_values",
    "columns_of",
    "kinds_note",
    "standardised",
    "transformed",
]

ColumnKind = Literal["real", "positive", "count", "binary", "categorical", "constant"]
_MOST_NAMES, _FEW_ROWS = 1000, 20
_LONG_TAIL = 2.0
_SIGNED = re.compile(r"^\s*(?:[$€£¥]\s*[-+]?[\d.,]+|[-+]?[\d.,]+\s*[%$€£¥])\s*$")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: what its values are.
        reason: why, in words.
        names: of the categories that the codes 0, 1, ... stand for; text of numbers where a column of
            numbers was said to be categorical.
        shift, scale: see the module; 0 and 1 for other kinds, but the shift of a constant is its value.
    """

    kind: ColumnKind
    reason: str = ""
    names: tuple[str, ...] = ()
    shift: float = 0.0
    scale: float = 1.0

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Column":
        """The inverse of `to_dict`."""
        return cls(**{**content, "names": tuple(content.get("names", ()))})

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {**asdict(self), "names": list(self.names)}


def asked_kinds(kinds: Sequence[str], names: Sequence[str], where: str) -> dict[str, ColumnKind]:
    """`column=kind` of options as a mapping.

    Raises:
        InputError: another form, a column that is not there, an unknown kind.
    """
    found: dict[str, Any] = {}
    for text in kinds:
        name, sign, kind = text.rpartition("=")
        if not sign:
            raise InputError("column=kind", f"'{text}'", "age=count", where=f"{where}, kind")
        if name not in names:
            raise InputError("a column of the data", f"'{name}'", nearest(name, names), where=where)
        if kind not in get_args(ColumnKind)[:-1]:
            known = get_args(ColumnKind)[:-1]
            raise InputError(
                f"one of {', '.join(known)} for the column '{name}'", f"'{kind}'",
                nearest(kind, known), where=where,
            )  # fmt: skip
        found[name] = kind
    return found


def columns_of(parts: Sequence[RawRows], asked: Mapping[str, ColumnKind]) -> tuple[Column, ...]:
    """What the columns of all parts of a source are.

    Arguments:
        parts: rows with names of columns, NaN where a cell is missing; codes with their names where a
            column is text.
        asked: kinds that were asked for, by the names of the columns.

    Raises:
        InputError: text that names no categories; a kind that the values do not fit.
    """
    names = parts[0].columns
    assert names is not None
    found = []
    for i, name in enumerate(names):
        place = f"{parts[0].where}, column '{name}'"
        text = [own for part in parts if part.names is not None and (own := part.names[i])]
        if text:
            found.append(_of_text(parts, i, sorted({n for own in text for n in own}), place))
            if asked.get(name, "categorical") != "categorical":
                raise InputError(
                    f"numbers in a column of kind {asked[name]}", "text", f"{name}=categorical",
                    where=place,
                )  # fmt: skip
            continue
        values = np.concatenate([part.values[:, i] for part in parts]).astype(np.float64)
        values = values[~np.isnan(values)]
        own = _of_numbers(values)
        if name in asked and asked[name] != own.kind:
            own = _as_asked(values, asked[name], place)
        found.append(own)
    return tuple(found)


def _of_text(parts: Sequence[RawRows], i: int, names: list[str], place: str) -> Column:
    signed = next((n for n in names if _SIGNED.match(n)), None)
    if signed is not None:
        raise InputError(
            "plain numbers, or names of categories", f"'{signed}'",
            f"the numbers without their sign, or {option('drop')} of the column", where=place,
        )  # fmt: skip
    rows = sum(int((~np.isnan(part.values[:, i])).sum()) for part in parts)
    if len(names) > _MOST_NAMES or (rows >= _FEW_ROWS and len(names) > rows / 2):
        raise InputError(
            f"numbers, or the names of at most {_MOST_NAMES} categories that come up again",
            f"{len(names)} different texts in {rows} rows, such as '{names[0]}'",
            f"{option('drop')} of the column, if it names rows or is prose",
            where=place,
        )
    if len(names) == 1:
        return Column("constant", f"'{names[0]}' in every row", tuple(names))
    return Column("categorical", f"text with {len(names)} different values", tuple(names))


def _of_numbers(values: Float[np.ndarray, " N"]) -> Column:
    if not len(values):
        return Column("constant", "no row has a value")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Column("constant", f"{low:g} in every row")
    whole = bool((values == np.rint(values)).all())
    if whole and (low, high) == (0, 1):
        return Column("binary", "0 and 1")
    if whole and low >= 0:
        return Column("count", f"whole numbers from {low:g} to {high:g}")
    if low > 0 and _skewness(values) > max(_LONG_TAIL, 2 * abs(_skewness(np.log(values)))):
        return Column("positive", "numbers above 0 with a long tail upwards")
    return Column("real", f"numbers from {low:g} to {high:g}")


def _as_asked(values: Float[np.ndarray, " N"], kind: ColumnKind, place: str) -> Column:
    if kind == "categorical":
        names = tuple(f"{v:.17g}" for v in np.unique(values))
        if len(names) < 2 or len(names) > _MOST_NAMES:
            raise InputError(
                f"2 to {_MOST_NAMES} different values in a categorical column", f"{len(names)}",
                "leaving its kind out", where=place,
            )  # fmt: skip
        return Column(kind, "asked for", names)
    fits = {
        "real": np.ones(len(values), bool),
        "positive": values > 0,
        "count": (values >= 0) & (values == np.rint(values)),
        "binary": (values == 0) | (values == 1),
    }[kind]
    if not fits.all() or not len(values):
        got = f"{values[~fits][0]:g}" if len(values) else "no value"
        raise InputError(f"values of kind {kind}", got, "another kind", where=place)
    return Column(kind, "asked for")


def _skewness(values: Float[np.ndarray, " N"]) -> float:
    away = values - values.mean()
    return float((away**3).mean() / ((away**2).mean() ** 1.5 + np.finfo(float).tiny))


def check_unseen(unseen: str) -> None:
    """Refuse a word that names no treatment of categories that no column has."""
    if unseen not in ("refuse", "missing"):
        raise InputError(
            "one of refuse, missing", f"'{unseen}'", nearest(unseen, ("refuse", "missing")),
            where="unseen",
        )  # fmt: skip


def column_values(
    rows: RawRows, columns: Sequence[Column], dtype: str, *, unseen: str = "refuse"
) -> Float[np.ndarray, "N D"]:
    """The rows as a data set holds them: numbers as they are, codes for categories, NaN for holes.

    Arguments:
        rows: of a source.
        columns: what the columns are.
        dtype: of the result.
        unseen: what to do about categories that a column does not have: `refuse`, or `missing`.

    Raises:
        InputError: a value that its column's kind does not have, with its place.
    """
    x = np.empty(rows.values.shape, dtype)
    for i, column in enumerate(columns):
        values, own = rows.values[:, i], None if rows.names is None else rows.names[i]
        if column.names:
            values = _coded(rows, i, values, own, column, unseen)
        elif own:
            _refuse(rows, i, ~np.isnan(values), "a number", f"'{own[0]}'")
        known = ~np.isnan(values)
        bad = {
            "positive": values <= 0,
            "count": (values < 0) | (values != np.rint(values)),
            "binary": (values != 0) & (values != 1),
        }.get(column.kind)
        if bad is not None and (bad & known).any():
            first = values[np.flatnonzero(bad & known)[0]]
            _refuse(rows, i, bad & known, f"a value of kind {column.kind}", f"{first:g}")
        with np.errstate(over="ignore"):
            x[:, i] = values
        lost = known & ~np.isfinite(x[:, i])
        if column.kind == "count":
            lost = known & (x[:, i] != values)
        if lost.any():
            first = values[np.flatnonzero(lost)[0]]
            _refuse(rows, i, lost, f"a number that {dtype} holds", f"{first:.17g}")
    return x


def _coded(
    rows: RawRows,
    i: int,
    values: np.ndarray,
    own: tuple[str, ...] | None,
    column: Column,
    unseen: str,
) -> Float[np.ndarray, " N"]:
    """Codes among the column's names, from codes among a part's own or from numbers."""
    known = ~np.isnan(values.astype(np.float64))
    if own:
        texts = [own[int(v)] if k else "" for v, k in zip(values, known, strict=True)]
    else:
        texts = [f"{v:.17g}" if k else "" for v, k in zip(values, known, strict=True)]
    place = {name: code for code, name in enumerate(column.names)}
    codes = np.array([place.get(text, -1) for text in texts], np.float64)
    codes[~known | ((codes < 0) & (unseen == "missing"))] = np.nan
    if (new := codes < 0).any():
        text = texts[int(np.flatnonzero(new)[0])]
        _refuse(
            rows, i, new, f"one of the {len(column.names)} values that the fit has seen", f"'{text}'",
            nearest(text, column.names),
        )  # fmt: skip
    return codes


def _refuse(
    rows: RawRows, i: int, bad: np.ndarray, expected: str, got: str, remedy: str | None = None
) -> None:
    row = int(np.flatnonzero(bad)[0])
    others = int(bad.sum()) - 1
    more = f" ({others} more such cells)" if others else ""
    raise InputError(
        expected, got + more, remedy or "the kind of values that the column had at the fit",
        where=f"{rows.where}, {rows.place(row, [i])}",
    )  # fmt: skip


def as_written(x: Float[np.ndarray, "N D"], columns: Sequence[Column]) -> tuple[list[Any], ...]:
    """The columns as a source has them: names for codes, whole counts, None for holes."""
    return tuple(_written(values, column) for values, column in zip(x.T, columns, strict=True))


def _written(values: Float[np.ndarray, " N"], column: Column) -> list[Any]:
    known = ~np.isnan(values)
    if column.names:
        texts = column.names
        return [texts[int(v)] if k else None for v, k in zip(values, known, strict=True)]
    whole = column.kind in ("count", "binary") and (values[known] % 1 == 0).all()
    number = int if whole else _shortest
    return [number(v) if k else None for v, k in zip(values, known, strict=True)]


def _shortest(value: np.floating) -> float:
    """The number of fewest digits that its type tells from all others: 0.1 and not 0.10000000149."""
    return float(str(value))


def kinds_note(columns: Sequence[Column]) -> str:
    """How many columns are of which kind, in words."""
    kinds = [column.kind for column in columns]
    counted = ", ".join(f"{kinds.count(k)} {k}" for k in get_args(ColumnKind) if k in kinds)
    return f"columns are read by their own kinds: {counted} (`taut show` tells why)"


def transformed(values: Shaped[np.ndarray, "..."], kind: str) -> Float[np.ndarray, "..."]:
    """t of the values of a column."""
    if kind == "positive":
        return np.log(values)
    return np.log1p(values) if kind == "count" else np.asarray(values)


def standardised(x: Float[np.ndarray, "N D"], columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns with shift and scale of the training rows; constant where these do not vary."""
    found = []
    for i, column in enumerate(columns):
        values = x[~np.isnan(x[:, i]), i].astype(np.float64)
        if not len(values) or (values == values[0]).all():
            one = "no training row has a value" if not len(values) else "one value in training rows"
            reason = column.reason if column.kind == "constant" else one
            value = float(values[0]) if len(values) else 0.0
            found.append(replace(column, kind="constant", reason=reason, shift=value))
        elif column.kind in ("real", "positive", "count"):
            t = transformed(values, column.kind)
            found.append(replace(column, shift=float(t.mean()), scale=float(t.std())))
        else:
            found.append(column)
    return tuple(found)
