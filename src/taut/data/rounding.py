"""Rounding: what a type of few digits loses of a column of numbers.

    lost    max |t(x) - t(x as the type holds it)| > sd(t(x)) / 1000        t as of `taut.data.kinds`

A thousandth of the spread is below what a density fitted to that many rows resolves. A column that loses
more is refused; one of dates keeps the day of each, and a note says how near its times are.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from taut.data.kinds import Column, transformed
from taut.data.moments import ColumnMoments
from taut.data.schema import Schema
from taut.data.timeline import STEPS, time_lost
from taut.errors import InputError, option

__all__ = ["refuse_blurred", "refuse_rounding", "times_note"]

_RESOLVED = 1e-3  # of the spread


def refuse_rounding(moments: ColumnMoments, where: str, schema: Schema) -> None:
    """Refuse real columns of one kind whose rows the schema's dtype rounds together.

    Arguments:
        moments: of the source's own values.
        where: the source, for messages.
        schema: the form of a row.

    Raises:
        InputError: names the column.
    """
    if schema.support != "real":
        return
    spread: Float[np.ndarray, " D"] = moments.deviation
    lost = np.flatnonzero((moments.rounding > _RESOLVED * spread) & moments.varies)
    if len(lost):
        column = int(lost[0])
        name = f", column '{schema.columns[column]}'" if schema.columns else ""
        raise _blurred(
            f"{where}{name}", schema.dtype, float(spread[column]), float(moments.mean[column])
        )


def refuse_blurred(
    values: Float[np.ndarray, " N"], held: Float[np.ndarray, " N"], where: str, kind: str = "real"
) -> None:
    """Refuse a column, or a target, whose numbers the type that holds them rounds together.

    Arguments:
        values: of the source, NaN where there is none.
        held: the same as they are held.
        where: source and column, for messages.
        kind: of the column; others than reals and positive numbers are held exactly.

    Raises:
        InputError: says how far apart the numbers are.
    """
    known = ~np.isnan(values)
    if kind not in ("real", "positive") or not known.any():
        return
    exact = values[known]
    t = transformed(exact, kind)
    with np.errstate(divide="ignore"):
        rounded = transformed(held[known].astype(np.float64), kind)
    if t.min() < t.max() and np.abs(rounded - t).max() > _RESOLVED * t.std():
        raise _blurred(where, str(held.dtype), float(exact.std()), float(exact.mean()))


def times_note(
    x: Sequence[Float[np.ndarray, "N D"]], columns: Sequence[Column], names: Sequence[str]
) -> tuple[str, ...]:
    """A note for each column of dates whose times the type of the rows does not hold.

    Arguments:
        x: the rows of each part of a source, as they are held.
        columns: what the columns are.
        names: of the columns.
    """
    notes = []
    for i, (column, name) in enumerate(zip(columns, names, strict=True)):
        if not column.form:
            continue
        lost = max(time_lost(part[:, i], unit=column.unit, form=column.form) for part in x)
        if lost:
            seconds = lost * STEPS[column.unit]
            notes.append(
                f"times of column '{name}' are held to within {seconds:.2g} seconds, the day exactly: "
                f"{x[0].dtype} tells no nearer ones apart (precision float64 does)"
            )
    return tuple(notes)


def _blurred(where: str, dtype: str, spread: float, mean: float) -> InputError:
    return InputError(
        f"values that {dtype} tells apart", f"a spread of {spread:.3g} around {mean:.9g}",
        f"{option('precision', 'float64')}, or subtracting an offset", where=where,
    )  # fmt: skip
