"""The registry of sources: every form that a source string may take, and what reads it.

A reader returns one part, which is split by fractions; two parts, rows to train and validate on and
test rows; or three, split already. Forms are tried in order.
"""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from taut.data.sources.arrays import read_npy, read_npz, split_key
from taut.data.sources.digits import read_digits
from taut.data.sources.files import expanded, extension
from taut.data.sources.folder import read_folder
from taut.data.sources.h5ad import read_h5ad
from taut.data.sources.idx import is_idx, read_idx_file
from taut.data.sources.matlab import is_matlab, read_matlab
from taut.data.sources.matrix_market import read_matrix_market
from taut.data.sources.memory import read_memory
from taut.data.sources.mnist import read_mnist
from taut.data.sources.parquet import read_parquet
from taut.data.sources.raw_rows import RawRows, Request
from taut.data.sources.text import EXTENSIONS, read_text
from taut.errors import InputError

__all__ = ["SOURCES", "Source", "read_source", "same_source", "source_name"]

# Endings of tables that programs write and no reader here reads.
_TABLES = (
    ".xlsx", ".xls", ".xlsm", ".ods", ".arrow", ".feather", ".ipc", ".json", ".jsonl", ".ndjson",
    ".dta", ".sav", ".sas7bdat", ".rds", ".rdata", ".orc", ".avro", ".db", ".sqlite",
)  # fmt: skip


class Source(NamedTuple):
    """One form of source string.

    Attributes:
        form: how it is written, for help and messages.
        accepts: True for strings of this form.
        read: reads them.
    """

    form: str
    accepts: Callable[[str], bool]
    read: Callable[[str, Request], tuple[RawRows, ...]]


def read_source(source: Any, request: Request) -> tuple[RawRows, ...]:
    """The parts of a source: a string, a path, or data in memory.

    Raises:
        InputError: a string of no known form, or what its reader refuses.
    """
    if not isinstance(source, str | Path):
        return read_memory(source, request)
    text = str(source)
    for entry in SOURCES:
        if entry.accepts(text):
            return entry.read(text, request)
    known = ", ".join(entry.form for entry in SOURCES)
    close = difflib.get_close_matches(text, ["digits", "mnist", "mnist:FOLDER"], n=1)
    close = ["mnist:FOLDER" if name == "mnist" else name for name in close]
    remedy = f"'{close[0]}'" if close else "a path that is there, with one of these endings"
    if extension(text) in _TABLES:
        raise InputError(
            "a table as text or Parquet", f"one in a file {extension(text)}",
            f"writing it as {Path(text).stem}.csv or .parquet, or in Python a data frame",
            where=text,
        )  # fmt: skip
    raise InputError(f"one of: {known}", f"'{text}'", remedy, where="source")


def source_name(source: Any) -> str:
    """A short name: `digits`, `mnist`, the file's or folder's name up to its first dot, or `data`."""
    if not isinstance(source, str | Path):
        return "data"
    text = str(source)
    if text.startswith("mnist:"):
        return "mnist"
    name = expanded(text.split(",")[0]).resolve().name.split(".")[0]
    return name or "data"


def same_source(first: str, second: str) -> bool:
    """Whether two strings name one source, however their paths are spelled."""
    return _resolved(first) == _resolved(second)


def _resolved(source: str) -> str:
    """A source with every path in it absolute and without links."""
    if source == "digits":
        return source
    if _several(source):
        return ",".join(_resolved(name.strip()) for name in source.split(","))
    prefix = "mnist:" if source.startswith("mnist:") else ""
    path, key = source.removeprefix(prefix), None
    for ending in (".npz", "mat", ".h5ad"):
        if key is None:
            path, key = split_key(path, ending)
    return prefix + str(expanded(path).resolve()) + ("" if key is None else f":{key}")


def _read_three(source: str, request: Request) -> tuple[RawRows, ...]:
    """Train, validation and test rows from three files, the later ones with the first's columns."""
    names = [name.strip() for name in source.split(",")]
    if len(names) != 3 or not all(names):
        raise InputError(
            "three files, TRAIN,VALIDATION,TEST",
            f"{len([n for n in names if n])}",
            "naming all three, separated by commas",
            where=source,
        )
    parts: list[RawRows] = []
    for name in names:
        if parts and parts[0].columns is not None:
            request = request._replace(drop=(), keep=parts[0].columns)
        read = read_source(name, request)
        if len(read) != 1:
            raise InputError(
                "a file of one part",
                "a data set that is split already",
                f"{name} alone",
                where=name,
            )
        parts += read
    return tuple(parts)


def _ends_in(*endings: str) -> Callable[[str], bool]:
    return lambda text: extension(text) in endings


def _keyed(ending: str) -> Callable[[str], bool]:
    return lambda text: extension(split_key(text, ending)[0]) == ending


def _is_folder(text: str) -> bool:
    return os.path.isdir(expanded(text))


def _several(text: str) -> bool:
    return "," in text and not os.path.exists(expanded(text))


SOURCES = (
    Source("digits", lambda text: text == "digits", read_digits),
    Source("mnist:FOLDER", lambda text: text.startswith("mnist:"), read_mnist),
    Source("TRAIN,VALIDATION,TEST (three files)", _several, _read_three),
    Source("FILE.npy", _ends_in(".npy"), read_npy),
    Source("FILE.npz[:KEY]", _keyed(".npz"), read_npz),
    Source("FILE.mat[:KEY]", is_matlab, read_matlab),
    Source("FILE.mtx [.gz]", _ends_in(".mtx"), read_matrix_market),
    Source("FILE.h5ad[:LAYER]", _keyed(".h5ad"), read_h5ad),
    Source("FILE-idx3-ubyte[.gz]", is_idx, read_idx_file),
    Source("FILE.csv, .tsv, .txt, .data, .amat [.gz]", _ends_in(*EXTENSIONS), read_text),
    Source("FILE.parquet", _ends_in(".parquet"), read_parquet),
    Source("a folder of PNG or JPEG images", _is_folder, read_folder),
)
