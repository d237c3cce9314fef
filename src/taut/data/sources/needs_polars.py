"""Polars, which reads tables: an extra, for arrays and images do without it."""

from importlib import import_module

from taut.errors import InputError

__all__ = ["need_polars"]


def need_polars(where: str) -> None:
    """Refuse what only Polars reads or writes where it is not installed.

    Arguments:
        where: the file, or the column of text, for the message.

    Raises:
        InputError: see above.
    """
    try:
        import_module("polars")
    except ImportError:
        raise InputError(
            "Polars, which reads and writes tables", "none installed",
            "`pip install 'taut[tables]'`", where=where,
        ) from None  # fmt: skip
