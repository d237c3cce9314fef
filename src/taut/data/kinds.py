"""`Column`: what one column of a table of several kinds is, inferred from its values.

    yes and no, true and false, t and f, y and n    binary
    other text                                 categorical: codes of the names, in alphabetical order
    dates                                      real: days since the first, see `taut.data.timeline`
    one value, or none                         constant: no part of the density
    0 and 1                                    binary
    whole numbers, none negative               count
    all above 0, with a long tail upwards      positive
    other numbers                              real
    levels or bounds that were asked for       ordinal: codes in their order

A long tail: the skewness is above 2, and that of the logarithms is less than half of it. Text with more
than 1,000 different names, or with another one in more than half of at least 20 rows, names rows or is
prose, and is refused; so are numbers with several currency or percent signs, which are no names.

For an encoder, and for a density on the real line, a number is standardised as

    u = (t(x) - shift) / scale,        t = log of positive numbers, log(1 + x) of counts, else x

with moments over the observed cells of the training rows.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from taut.data.atoms import atoms_of
from taut.data.moments import mean_and_variance
from taut.data.number_names import name_codes, names_read, number_name
from taut.data.sources.dates import date_text, is_zoned
from taut.data.sources.raw_rows import RawRows, Unit
from taut.data.timeline import STEPS, step_of
from taut.errors import InputError, option

__all__ = [
    "Column",
    "ColumnKind",
    "Wish",
    "columns_of",
    "kinds_note",
    "standardised",
    "transformed",
]

ColumnKind = Literal["real", "positive", "count", "binary", "categorical", "ordinal", "constant"]
_MOST_NAMES, _FEW_ROWS = 1000, 20
_LONG_TAIL = 2.0
_MOST_SHOWN = 8
_TRUTHS = (("no", "yes"), ("false", "true"), ("f", "t"), ("n", "y"), ("off", "on"))
_SIGNED = re.compile(r"^\s*(?:[$€£¥]\s*[-+]?[\d.,]+|[-+]?[\d.,]+\s*[%$€£¥]|\d+:\d\d(:\d\d)?)\s*$")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: what its values are.
        reason: why, in words, which say nothing of what the values are.
        names: of the categories that the codes 0, 1, ... stand for; text of numbers where a column of
            numbers was said to be categorical or ordinal.
        shift, scale: see the module; 0 and 1 for other kinds, but the shift of a constant is its value.
        unit: that the source has beside each number, or in which dates are counted.
        form: of dates, as `strftime` has it; empty for other columns.
        origin: of dates, the first one, in seconds since the beginning of 1970.
        missing: cells that stand for a missing one, as the source has them.
        likelihood: that was asked for; empty for the one of the kind.
        words: that stand for 0 and 1 in the source, such as false and true; none for the numbers. They
            say nothing of what the values are.
        atoms, step: numbers that recur, and the step between values; see `taut.data.atoms`.
    """

    kind: ColumnKind
    reason: str = field(default="", compare=False)
    names: tuple[str, ...] = ()
    shift: float = 0.0
    scale: float = 1.0
    unit: str = ""
    form: str = ""
    origin: float = 0.0
    missing: tuple[str, ...] = ()
    likelihood: str = ""
    words: tuple[str, ...] = field(default=(), compare=False)
    atoms: tuple[float, ...] = ()
    step: float = 0.0

    @property
    def spread(self) -> float:
        """A standard deviation in the column's own units, of logarithms to first order."""
        return self.scale * (math.exp(self.shift) if self.kind in ("positive", "count") else 1.0)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Column":
        """The inverse of `to_dict`."""
        named = ("names", "missing", "words", "atoms")
        lists = {name: tuple(content.get(name, ())) for name in named}
        lists["names"] = names_read(lists["names"])
        return cls(**{**content, **lists})

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        lists = {name: list(getattr(self, name)) for name in ("names", "missing", "atoms")}
        found = {**asdict(self), **lists, "words": list(self.words)}
        if not self.words:
            del found["words"]
        return found


@dataclass(frozen=True)
class Wish:
    """What is said of one column.

    Attributes:
        kind: of its values; None for what they show.
        levels: of an ordinal column, from the least to the greatest, as the source has them.
        bounds: of an ordinal column of whole numbers, the least and the greatest that there can be.
        likelihood: of a real column, `gaussian` or `student-t`; None for the one of its kind.
        missing: cells that stand for a missing one, as the source has them.
    """

    kind: ColumnKind | None = None
    levels: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    likelihood: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def asked(self) -> ColumnKind | None:
        """The kind, which levels and bounds tell as well."""
        return self.kind or ("ordinal" if self.levels or self.bounds else None)

    def after(self, before: "Wish") -> "Wish":
        """This wish, with what an earlier one says beside."""
        own, known = vars(self), vars(before)
        return Wish(**{name: own[name] or known[name] for name in own})


def columns_of(
    parts: Sequence[RawRows],
    wishes: Mapping[str, Wish],
    weight: Float[np.ndarray, " N"] | None = None,
) -> tuple[Column, ...]:
    """What the columns of all parts of a source are.

    Arguments:
        parts: rows with names of columns, NaN where a cell is missing; codes with their names where a
            column is text.
        wishes: what is said of columns, by their names.
        weight: how often each row of all parts counts; once when None.

    Raises:
        InputError: text that names no categories; a kind or a likelihood that the values do not fit.
    """
    names = parts[0].columns
    assert names is not None
    found = []
    for i, name in enumerate(names):
        place = f"{parts[0].where}, column '{name}'"
        text = [own for part in parts if part.names is not None and (own := part.names[i])]
        wish = wishes.get(name, Wish())
        asked = wish.asked
        if text:
            texts = sorted({n for own in text for n in own})
            own = (
                _ordered(texts, wish, place) if asked == "ordinal"
                else _of_text(parts, i, texts, name, place, asked=asked, weight=weight)
            )  # fmt: skip
            if asked not in (None, own.kind, "categorical"):
                raise InputError(
                    f"numbers in a column of kind {asked}",
                    "text",
                    f"{name}=categorical",
                    where=place,
                )
            found.append(_wished(own, wish, place))
            continue
        values = np.concatenate([part.values[:, i] for part in parts]).astype(np.float64)
        known, unit = ~np.isnan(values), _unit(parts, i, place)
        values = values[known]
        own = _of_numbers(values, None if weight is None else weight[known])
        if unit.form and len(values):
            own, values = _dated(values, unit.form)
        if asked not in (None, own.kind):
            asked_for = _as_asked(values, asked, wish, place)
            own = replace(own, kind=asked_for.kind, reason=asked_for.reason, names=asked_for.names)
        if unit.name:
            own = replace(own, unit=unit.name, reason=f"{own.reason}, in {unit.name}")
        if own.kind in ("binary", "categorical", "constant"):
            own = replace(own, words=unit.words)
        found.append(_wished(own, wish, place))
    return tuple(found)


def _wished(own: Column, wish: Wish, place: str) -> Column:
    """A column with what was said of it beside its kind."""
    if wish.likelihood is not None and own.kind != "real":
        raise InputError(
            f"the likelihood of a {own.kind} column, or kind real", f"'{wish.likelihood}'",
            "leaving the likelihood out", where=place,
        )  # fmt: skip
    likelihood = "" if wish.likelihood in (None, "gaussian") else wish.likelihood
    return replace(own, missing=wish.missing, likelihood=likelihood)


def _ordered(found: Sequence[str], wish: Wish, place: str) -> Column:
    """An ordinal column of text, or of numbers as text."""
    levels = wish.levels
    if wish.bounds is not None:
        levels = tuple(str(level) for level in range(wish.bounds[0], wish.bounds[1] + 1))
    if not levels:
        raise InputError(
            "the levels of an ordinal column of text, in their order", "none",
            f"levels = {json.dumps(list(found[:_MOST_SHOWN]), ensure_ascii=False)} in a file of columns",
            where=place,
        )  # fmt: skip
    codes = name_codes(found, levels)
    other = next((name for name, code in zip(found, codes, strict=True) if code < 0), None)
    if other is not None or not 2 <= len(levels) <= _MOST_NAMES:
        raise InputError(
            f"2 to {_MOST_NAMES} levels that hold every value of the column",
            f"'{other}' beside them" if other is not None else f"{len(levels)}",
            "adding it to the levels" if other is not None else "another kind", where=place,
        )  # fmt: skip
    return Column("ordinal", f"{len(levels)} levels from {levels[0]} to {levels[-1]}", levels)


def _unit(parts: Sequence[RawRows], i: int, place: str) -> Unit:
    """That of a column in all parts."""
    units = [part.units[i] for part in parts if part.units is not None]
    measured = [unit._replace(words=()) for unit in units]
    found = list(dict.fromkeys(unit for unit in measured if unit != Unit()))
    if len({(unit.name, bool(unit.form), is_zoned(unit.form)) for unit in found}) > 1:
        raise InputError(
            "one unit in all parts", " and ".join(u.name or f"dates {u.form}" for u in found),
            "the unit of the training rows", where=place,
        )  # fmt: skip
    words = next((unit.words for unit in units if unit.words), ())
    return (found[0] if found else Unit())._replace(words=words)


def _dated(seconds: Float[np.ndarray, " N"], form: str) -> tuple[Column, Float[np.ndarray, " N"]]:
    """A column of dates, and its numbers."""
    first, last = float(seconds.min()), float(seconds.max())
    unit, began = step_of(seconds), date_text(first, form)
    reason = f"dates from {began} to {date_text(last, form)}, as {unit} since the first"
    kind = "real"
    if first == last:
        kind, reason = "constant", f"{began} in every row"
    return Column(kind, reason, unit=unit, form=form, origin=first), (seconds - first) / STEPS[unit]


def _of_text(
    parts: Sequence[RawRows],
    i: int,
    names: list[str],
    name: str,
    place: str,
    *,
    asked: str | None,
    weight: Float[np.ndarray, " N"] | None,
) -> Column:
    if asked != "categorical" and (truths := _truths(names)) is not None:
        return Column("binary", f"{truths[0]} and {truths[1]}", truths)
    signed = next((n for n in names if _SIGNED.match(n)), None)
    if signed is not None and not asked:
        raise InputError(
            "numbers with one unit alone, or names of categories", f"'{signed}'",
            f"plain numbers, or {option('kind', (f'{name}=categorical',))}",
            where=_first_place(parts, i, signed),
        )  # fmt: skip
    known = np.concatenate([~np.isnan(part.values[:, i]) for part in parts])
    rows = round(float(known.sum() if weight is None else weight @ known))
    if len(names) > _MOST_NAMES or (rows >= _FEW_ROWS and len(names) > rows / 2 and not asked):
        raise InputError(
            f"numbers, or the names of at most {_MOST_NAMES} categories that come up again",
            f"{len(names)} different texts in {rows} rows, such as '{names[0]}'",
            f"{option('drop')} of the column, if it names rows or is prose",
            where=place,
        )
    if len(names) == 1:
        return Column("constant", f"'{names[0]}' in every row", tuple(names))
    return Column("categorical", f"text with {len(names)} different values", tuple(names))


def _first_place(parts: Sequence[RawRows], i: int, text: str) -> str:
    """The first cell of a column that holds a text."""
    for part in parts:
        own = (part.names and part.names[i]) or ()
        if text in own:
            row = int(np.flatnonzero(part.values[:, i] == own.index(text))[0])
            return f"{part.where}, {part.place(row, [i])}"
    raise AssertionError  # it is one of the names


def _truths(names: Sequence[str]) -> tuple[str, str] | None:
    """The words for no and yes; None where a column has others."""
    for no, yes in _TRUTHS:
        words = {name.lower(): name for name in names}
        if words.keys() == {no, yes}:
            return words[no], words[yes]
    return None


def _of_numbers(values: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"] | None) -> Column:
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
    if low > 0 and _skewness(values, weight) > max(
        _LONG_TAIL, 2 * abs(_skewness(np.log(values), weight))
    ):
        return Column("positive", "numbers above 0 with a long tail upwards")
    return Column("real", f"numbers from {low:g} to {high:g}")


def _as_asked(values: Float[np.ndarray, " N"], kind: ColumnKind, wish: Wish, place: str) -> Column:
    if kind == "ordinal":
        names = tuple(map(number_name, np.unique(values)))
        return _ordered(names, wish if wish.levels or wish.bounds else Wish(levels=names), place)
    if kind == "categorical":
        names = tuple(map(number_name, np.unique(values)))
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


def _skewness(values: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"] | None) -> float:
    mean, variance = mean_and_variance(values, weight)
    third = np.average((values - mean) ** 3, weights=weight)
    return float(third / (variance**1.5 + np.finfo(float).tiny))


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


def standardised(
    x: Float[np.ndarray, "N D"],
    columns: Sequence[Column],
    weight: Float[np.ndarray, " N"] | None = None,
) -> tuple[Column, ...]:
    """The columns with shift, scale and atoms of training rows; constant where these do not vary.

    A row counts as often as its weight says.
    """
    found = []
    for i, column in enumerate(columns):
        known = ~np.isnan(x[:, i])
        values = x[known, i].astype(np.float64)
        own = None if weight is None else weight[known]
        if not len(values) or (values == values[0]).all():
            one = "no training row has a value" if not len(values) else "one value in training rows"
            reason = column.reason if column.kind == "constant" else one
            value = float(values[0]) if len(values) else 0.0
            found.append(replace(column, kind="constant", reason=reason, shift=value))
        elif column.kind in ("real", "positive", "count"):
            t = transformed(values, column.kind)
            atoms, step = atoms_of(values, column.kind, own)
            shift, variance = mean_and_variance(t, own)
            scale = math.sqrt(variance)
            found.append(replace(column, shift=shift, scale=scale, atoms=atoms, step=step))
        else:
            found.append(column)
    return tuple(found)
