"""Words that stand for a missing cell, and cells of text without them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from taut.data.number_names import name_codes

__all__ = [
    "BOOLEAN",
    "MISSING_WORDS",
    "are_codes",
    "emptied",
    "numbers_among",
    "spell_names",
    "truth_words",
    "without",
    "without_codes",
    "words",
]

# What common tools write for a missing cell, in lower case.
MISSING_WORDS = ("", "?", "-", "na", "n/a", "nan", "null", "none", ".")

BOOLEAN = ("false", "true")
"""The words for 0 and 1 of a column of Booleans."""


def words(column: Any) -> Any:
    """The cells of a Polars series with null for the words that stand for a missing one."""
    import polars as pl

    missing = column.str.to_lowercase().is_in(list(MISSING_WORDS))
    return column.to_frame("cell").select(pl.when(~missing).then(pl.col("cell"))).to_series()


def emptied(column: Any, codes: Sequence[str]) -> Any:
    """The cells of a Polars series, empty where they are one of some codes, or spell their number."""
    return without(column, are_codes(column, codes).to_numpy())


def are_codes(column: Any, codes: Sequence[str]) -> Any:
    """Whether each cell of a Polars series is one of some codes, or spells their number."""
    import polars as pl

    own = pl.Series(codes, dtype=pl.String)
    numbers = own.cast(pl.Float64, strict=False).drop_nulls().to_list()
    spelled = column.cast(pl.Float64, strict=False).is_in(numbers).fill_null(value=False)
    return column.is_in(own.to_list()).fill_null(value=False) | spelled


def without(column: Any, cells: Bool[np.ndarray, " N"]) -> Any:
    """A Polars series with nothing in some cells."""
    import polars as pl

    return column.set(pl.Series(cells), "" if column.dtype == pl.String else None)


def without_codes(
    texts: Shaped[np.ndarray, " N"], codes: Sequence[str]
) -> Shaped[np.ndarray, " N"]:
    """Texts, empty where they are one of some codes, or spell their number."""
    if not codes:
        return texts
    cells = [text.strip() for text in texts.tolist()]
    empty = np.any([name_codes(cells, [code]) >= 0 for code in ("", *codes)], axis=0)
    return np.where(empty, "", texts)


def spell_names(column: Any, most: float) -> bool:
    """Whether the numbers of a Polars series of text are names, as 007 and 7 are two: some have zeros in
    front, and at most so many are different."""
    import polars as pl

    given = words(column).drop_nulls()
    if not given.str.contains(r"^[+-]?0\d").any() or given.n_unique() > most:
        return False
    return given.cast(pl.Float64, strict=False).null_count() == 0


def truth_words(column: Any) -> tuple[str, ...]:
    """The words of a Polars series for 0 and 1, false and true as they are spelled; none of another."""
    first = next((text for text in column if text and text.lower() not in MISSING_WORDS), "")
    if first.lower() not in ("false", "true"):
        return ()
    found = {text.lower(): text for text in words(column).drop_nulls().unique()}
    if not found.keys() <= {"false", "true"}:
        return ()
    case = str.upper if first.isupper() else str.capitalize if first[0].isupper() else str.lower
    return found.get("false", case("false")), found.get("true", case("true"))


def numbers_among(codes: Sequence[str]) -> list[float]:
    """The numbers among codes of missing cells."""
    found = []
    for code in codes:
        with suppress(ValueError):
            found.append(float(code))
    return found
