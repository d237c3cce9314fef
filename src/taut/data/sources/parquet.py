"""`FILE.parquet`: the numeric columns of a Parquet table, read by Polars."""

from taut.data.sources.files import existing_file
from taut.data.sources.frame import choose_columns, frame_rows
from taut.data.sources.rows import Request, Rows
from taut.errors import InputError

__all__ = ["read_parquet"]

_MAGIC = b"PAR1"


def read_parquet(source: str, request: Request) -> tuple[Rows, ...]:
    """All rows, of the columns that the request leaves.

    Raises:
        InputError: a file that is not Parquet, or is cut short; columns as in `choose_columns`.
    """
    import polars as pl

    file = existing_file(source)
    _check_ends(source)
    try:
        names = list(pl.read_parquet_schema(file))
        data, label = choose_columns(names, request, source)
        wanted = data if label is None else [*data, label]
        frame = pl.read_parquet(file, columns=wanted, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            "a whole Parquet file",
            f"one that is damaged ({reason})",
            "writing it again",
            where=source,
        ) from error
    return (frame_rows(frame, data, label, source),)


def _check_ends(source: str) -> None:
    """A Parquet file begins and ends with the same four bytes; one that is cut short does not."""
    content = existing_file(source)
    with content.open("rb") as file:
        first = file.read(4)
        file.seek(max(content.stat().st_size - 4, 0))
        last = file.read(4)
    if first != _MAGIC or last != _MAGIC:
        at = "begins" if first != _MAGIC else "ends"
        raise InputError(
            "a whole Parquet file, which begins and ends with 'PAR1'",
            f"one that {at} with {first if at == 'begins' else last!r}",
            "writing it again, or the ending that belongs to its format",
            where=source,
        )
