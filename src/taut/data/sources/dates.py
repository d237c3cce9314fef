"""Dates and times, in cells of text: seconds since the beginning of 1970, in one form for a column.

    2020-01-31   2020/01/31   31.01.2020   31/01/2020 or 01/31/2020   31 Jan 2020   Jan 31, 2020
    2020-01, a month
    each also with a time behind a T or a blank: 23:59, 23:59:59, 23:59:59.5, 11:59 PM, with Z or +02:00

All cells decide together: a day above 12 shows where the day stands. Where none does, and in cells that
have another form than the rest, nothing is guessed. Times with an offset are those of UTC.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.errors import InputError

__all__ = ["DAY", "TIME", "are_like_dates", "date_text", "dates_of", "is_zoned"]

DAY, TIME = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"
_MONTHS = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_LIKE = (
    r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[-/]\d{1,2}[-/]\d{2}"
    rf"|\d{{1,2}}[-. ]{{1,2}}{_MONTHS}[-., ]{{1,2}}\d{{4}}|{_MONTHS} \d{{1,2}},? \d{{4}})([T ].*)?$"
)
_MONTHLY = r"^\d{4}-(0[1-9]|1[0-2])$"
_YEAR = r"(^|\D)\d{4}($|\D)"
_DAYS = (
    DAY, "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_ZONES = ("", "Z", "%z")
_FORMS = (*_DAYS, *(d + a + t + z for d, a, t, z in product(_DAYS, "T ", _TIMES, _ZONES)))
_LOOKED_AT = 20  # cells by which forms are chosen
_START = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    (datetime(year, 1, 1, tzinfo=UTC) - _START).total_seconds() for year in (1000, 9999)
)


def dates_of(
    column: Any, place: Callable[[int], str], *, form: str = ""
) -> tuple[Float[np.ndarray, " N"], str] | None:
    """The seconds of a column of dates, NaN where null, and their form; None where few look like dates.

    Arguments:
        column: of text, as a Polars series.
        place: of a cell in words, by its number.
        form: that dates of this column had elsewhere, taken where the cells allow others as well.

    Raises:
        InputError: a cell among dates that is none, or has another form; day and month in either order.
    """
    known = column.drop_nulls()
    if len(known) and known.str.contains(_MONTHLY).all():
        return _seconds(column + "-01", DAY), "%Y-%m"
    like = known.str.contains(_LIKE)
    if 2 * int(like.sum()) <= len(known):
        return None
    some = known.filter(like & known.str.contains(_YEAR)).head(_LOOKED_AT)
    fitting = [f for f in dict.fromkeys((*_FORMS, form)) if f and _fits(some, f)]
    read = {f: _seconds(column, f) for f in fitting}
    most = max((int((~np.isnan(v)).sum()) for v in read.values()), default=0)
    best = [f for f, v in read.items() if int((~np.isnan(v)).sum()) == most > 0]
    strange = (
        column.is_not_null().to_numpy()
        & ~column.str.contains(_YEAR).fill_null(value=False).to_numpy()
    )
    if best:
        strange |= column.is_not_null().to_numpy() & np.isnan(read[best[0]])
    if not best or strange.any():
        row = int(strange.argmax())
        raise InputError(
            "a date" + (f" such as '{some[0]}'" if best else " whose year has four digits"),
            f"'{column[row]}'", "dates in one form alone, best year-month-day", where=place(row),
        )  # fmt: skip
    differ = [f for f in best[1:] if (read[f] != read[best[0]])[~np.isnan(read[f])].any()]
    if form in best:
        return read[form], form
    if differ:
        row = int(((read[differ[0]] != read[best[0]]) & column.is_not_null().to_numpy()).argmax())
        raise InputError(
            "dates that show where the day stands", f"'{column[row]}', day or month first",
            "dates as year-month-day", where=place(row),
        )  # fmt: skip
    return read[best[0]], best[0]


def are_like_dates(texts: Sequence[str]) -> bool:
    """Whether all of some texts look like dates or months."""
    return all(re.match(f"{_LIKE}|{_MONTHLY}", text) for text in texts)


def _fits(some: Any, form: str) -> bool:
    """Whether at least one of some cells has this form."""
    return bool(len(some)) and not np.isnan(_seconds(some, form)).all()


def _seconds(column: Any, form: str) -> Float[np.ndarray, " N"]:
    import polars as pl

    own = form.replace(".%f", "%.f").replace("%z", "%#z")
    found = column.str.strptime(pl.Datetime("us"), own, strict=False, exact=True)
    return found.dt.epoch("us").cast(pl.Float64).fill_null(float("nan")).to_numpy() / 1e6


def is_zoned(form: str) -> bool:
    """Whether dates of a form say how far they are from UTC."""
    return form.endswith(("%z", "Z"))


def date_text(seconds: float, form: str) -> str:
    """The date of seconds since 1970 in this form, in years of four digits."""
    inside = min(max(seconds, _FIRST), _LAST)
    return (_START + timedelta(seconds=inside)).strftime(form)
