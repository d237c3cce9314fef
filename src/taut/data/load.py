"""From a source to the three parts of a data set.

The rows come into memory (`taut.data.load_in_memory`), or those of training stay on disk
(`taut.data.load_streamed`). Options alone, and the size of a file, decide which.

Each step is a function of the source, the options and the seed alone, and draws from a stream of
its own: another split leaves the binarization of a row as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from taut.core import pythonic
from taut.data.dataset import Data
from taut.data.load_in_memory import load_in_memory
from taut.data.load_streamed import load_streamed, stays_on_disk
from taut.data.number_names import number_name
from taut.data.options import DataOptions
from taut.data.sources import Request
from taut.data.split import DEFAULT_SPLIT
from taut.data.targets import check_target, coded_columns
from taut.data.wishes import read_columns, wish_texts, wishes_of
from taut.errors import InputError, option

__all__ = ["load_data", "loaded"]


def load_data(
    source: Any,
    *,
    split: Sequence[float] = DEFAULT_SPLIT,
    seed: int = 0,
    label: str | None = None,
    target: str | None = None,
    target_as: str = "label",
    drop: Sequence[str] = (),
    missing: str = "model",
    missing_codes: Sequence[float | int] | float | int = (),
    decimal: str = "auto",
    binarize: str = "none",
    standardize: bool = True,
    support: str | None = None,
    columns: str = "alike",
    kind: Sequence[str] | Mapping[str, str | Mapping[str, Any]] = (),
    image_shape: Sequence[int] | None = None,
    name: str | None = None,
    dtype: Any = np.float32,
    stream: str = "auto",
) -> Data:
    """Training, validation and test rows of a source.

    Arguments:
        source: a string or path of a form in `taut.data.sources.SOURCES`; a NumPy array, (N, D),
            (N, H, W) or (N, H, W, C); a data frame that Narwhals accepts; or a tuple of three of
            these, split already.
        split: shares of training, validation and test rows. The default gives way to a split that
            the source has; any other is refused where the source is three files, and where it has
            test rows of its own divides the rest in the ratio of the first two.
        seed: of the split and of a static binarization.
        label: the column that is the label, or the other array of a `.npz` or `.mat` file.
        target: the column that is to be predicted, or the other array; rows without a value of it stay.
        target_as: `label`, beside the columns, or `column`, one of them, which `missing` is about, too.
        drop: columns that are not data.
        missing: `model` the cells that are there alone, which is exact where a cell's value does not
            decide whether it is missing; `refuse` NaN and empty cells; or `drop-rows` that have some.
            Infinite cells and rows without a label are refused, or dropped.
        missing_codes: numbers that stand for a missing cell, such as -999, also in columns of text.
        decimal: decimal mark of numbers in text files, `.` or `,`; `auto` for what they show.
        binarize: `none`, `static`, `dynamic`, `threshold`; see `taut.data.binarize`.
        standardize: learn shift and scale of real values on the training rows.
        support: read the values as `binary`, `grey`, `unit`, `count` or `real` instead of what they
            look like.
        columns: `alike`, `auto` for columns that each have a kind of their own, see
            `taut.data.kinds`, or a file of columns, see `taut.data.wishes`.
        kind: kinds of columns, such as `{"age": "count"}` or `["age=count"]`.
        image_shape: (H, W) or (H, W, C) of images that the source holds as flat rows.
        name: name of the data set; from the source by default.
        dtype: float32 or float64, of `x`.
        stream: `yes` leaves the training rows of a `.npy` or Parquet file on disk, `no` reads any
            source into memory, `auto` streams files whose rows take more than 2 GiB of memory or
            a quarter of what the machine has. See `taut.data.load_streamed` for what differs.

    Raises:
        InputError: an option or a source that cannot be used, with file, line and column.
    """
    options: dict[str, Any] = {
        "source": str(source) if isinstance(source, str | Path) else None,
        "split": tuple(split),
        "split_seed": seed,
        "label": label,
        "target": target,
        "target_as": target_as,
        "drop": (drop,) if isinstance(drop, str) else tuple(drop),
        "missing": missing,
        "missing_codes": tuple(float(code) for code in np.atleast_1d(missing_codes)),
        "decimal": decimal,
        "binarize": binarize,
        "standardize": standardize,
        "support": support,
        "columns": columns,
        "kind": wish_texts(kind),
        "image_shape": None if image_shape is None else tuple(image_shape),
        "name": name,
        "dtype": _dtype(dtype),
        "stream": stream,
    }
    return loaded(source, DataOptions.from_dict(pythonic(options)))


def loaded(source: Any, options: DataOptions, *, unsplit: bool = False) -> Data:
    """The data of a source, which options without a source of their own do not name.

    Arguments:
        source: as of `load_data`.
        options: all others.
        unsplit: rows that are too few to be split are all for training.

    Raises:
        InputError: as `load_data`.
    """
    if options.columns.endswith(".toml"):
        told = read_columns(options.columns)
        options = replace(options, columns="auto", kind=(*told, *options.kind))
    request = _request(options)
    by_column = bool(options.kind) or options.columns == "auto"
    stream = "no" if by_column and options.stream == "auto" else options.stream
    on_disk = stays_on_disk(source, request, stream, options.dtype)
    check_target(options, on_disk=on_disk)
    if on_disk and by_column:
        raise InputError(
            "rows in memory, where columns have kinds of their own", "rows that stay on disk",
            option("stream", "no"), where=option("stream"),
        )  # fmt: skip
    options = replace(options, stream="yes" if on_disk else "no")
    if on_disk:
        return load_streamed(str(source), request, options)
    return load_in_memory(source, request, options, unsplit=unsplit)


def _request(options: DataOptions) -> Request:
    """What options ask of a source."""
    beside = options.target if options.target_as == "label" else None
    wishes = wishes_of(options.kind, where="kind")
    return Request(
        label=options.label or beside, drop=options.drop, decimal=options.decimal,
        missing={name: wish.missing for name, wish in wishes.items() if wish.missing},
        codes=tuple(map(number_name, options.missing_codes)),
        worded=tuple(n for n, wish in wishes.items() if wish.asked in ("categorical", "ordinal")),
        coded=coded_columns(options),
        stay=(options.target or "", *(name for name, wish in wishes.items() if wish.asked)),
    )  # fmt: skip


def _dtype(dtype: Any) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        return str(dtype)
