"""A checksum of rows, by which data are known again whatever their file is called.

Values enter as float32, in the order of their row numbers, with the numbers beside them: the same rows
have one checksum in any split and in any precision that they are held in. Of training rows on disk a
sample stands for all. A target belongs to it, a label as well as a column; rows without theirs have a
checksum of their own, as a copy may lack it or have other values of it. So have grey rows of which zeros
and ones are drawn, as each seed of a split draws others.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from taut.data.timeline import held_dates

if TYPE_CHECKING:
    from taut.data.dataset import Data, Dataset

__all__ = [
    "checksum_of",
    "checksum_of_arrays",
    "data_checksum",
    "grey_checksum",
    "is_sampled",
    "untargeted_checksum",
]

_SAMPLE = 1000  # rows of a file on disk that stand for it
_CELLS = 2**22  # gathered at a time, 16 MiB
_SAMPLED = "sample-"


def data_checksum(data: "Data") -> str:
    """Of all rows of a data set; of a sample of them, and then it says so, where they are streamed."""
    held, labelled = [data.validation, data.test], data.schema.target is not None
    if data.streamed:
        return _SAMPLED + checksum_of([data.train.sample(_SAMPLE), *held], labelled=labelled)
    return checksum_of([data.train[:], *held], labelled=labelled)


def untargeted_checksum(data: "Data") -> str:
    """Of all rows of a data set without their target; empty where they have none."""
    if data.schema.target is None:
        return ""
    return checksum_of([data.train[:], data.validation, data.test], targeted=False)


def grey_checksum(
    grey: "Sequence[Callable[[np.ndarray], np.ndarray]]", numbers: Sequence[Any]
) -> str:
    """Of some rows of each part of a source, evenly spread, before zeros and ones are drawn of them.

    Arguments:
        grey: of each part, its rows at some positions as values from 0 to 1.
        numbers: of the rows of each part in the source.
    """
    arrays: dict[str, np.ndarray] = {}
    for i, (rows_at, own) in enumerate(zip(grey, numbers, strict=True)):
        at = np.linspace(0, len(own) - 1, min(len(own), _SAMPLE)).astype(int)
        arrays |= {f"rows {i}": rows_at(at), f"numbers {i}": np.asarray(own)[at]}
    return checksum_of_arrays(arrays)


def is_sampled(checksum: str) -> bool:
    """Whether a sample stands for the training rows."""
    return checksum.startswith(_SAMPLED)


def checksum_of_arrays(arrays: Mapping[str, Any], *, exact: bool = False) -> str:
    """Of arrays by name.

    Arguments:
        arrays: numbers.
        exact: every bit counts; by default they have one checksum in whatever precision they are held.
    """
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        values = np.asarray(arrays[name])
        found.update(f"{name}{values.shape}".encode())
        found.update((values if exact else values.astype(np.float32)).tobytes())
    return found.hexdigest()


def checksum_of(
    parts: "Sequence[Dataset]", *, labelled: bool = False, targeted: bool = True
) -> str:
    """Of the rows of several parts together, and of their labels where they count.

    Without `targeted`, the column of a target counts as missing in all rows.
    """
    numbers = np.concatenate([part.index for part in parts])
    order = np.argsort(numbers, kind="stable")
    starts = np.cumsum([0, *(len(part) for part in parts)])
    shape = parts[0].cells.shape[1:]
    found = hashlib.blake2b(numbers[order].astype(np.int32).tobytes(), digest_size=16)
    found.update(repr(shape).encode())
    height = max(1, _CELLS // max(1, math.prod(shape)))
    for first in range(0, len(order), height):
        places = order[first : first + height]
        rows = np.empty((len(places), *shape), np.float32)
        for part, start in zip(parts, starts, strict=False):
            here = (places >= start) & (places < start + len(part))
            rows[here] = _in_float32(part.take(places[here] - start))
        if not targeted and (own := parts[0].schema.place_of_target) is not None:
            rows[:, own] = np.nan
        found.update(rows.tobytes())
    labels = [part.label for part in parts if part.label is not None]
    if labelled and len(labels) == len(parts):
        found.update(np.concatenate(labels)[order].astype(np.float32).tobytes())
    return found.hexdigest()


def _in_float32(rows: "Dataset") -> np.ndarray:
    """The rows as they are held in float32."""
    x = rows.x.astype(np.float32)
    for i, column in enumerate(rows.schema.kinds or ()):
        if column.form:
            x[:, i] = held_dates(
                rows.x[:, i], "float32", unit=column.unit, form=column.form, origin=column.origin
            )
    return x
