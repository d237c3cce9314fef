"""Words that stand for a missing cell, and cells of text without them."""

from typing import Any

__all__ = ["MISSING_WORDS", "words"]

# What common tools write for a missing cell, in lower case.
MISSING_WORDS = ("", "?", "-", "na", "n/a", "nan", "null", "none", ".")


def words(column: Any) -> Any:
    """The cells of a Polars series with null for the words that stand for a missing one."""
    import polars as pl

    missing = column.str.to_lowercase().is_in(list(MISSING_WORDS))
    return column.to_frame("cell").select(pl.when(~missing).then(pl.col("cell"))).to_series()
