"""`RowFile`: rows of one size in an open file, read by number and never mapped.

Row r occupies the bytes [offset + r s, offset + (r + 1) s). Reads are positioned (`preadv`): any thread
may read any rows, and what a process holds is what it asked for. Pages of a mapped file would count
as its memory once touched; those of the operating system's file cache do not.
"""

import math
import os
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from taut.data.sources.files import existing_file
from taut.data.sources.raw_rows import check_form, native
from taut.errors import InputError, counted

__all__ = ["RowFile", "open_npy"]

_MAGIC = b"\x93NUMPY"
_MOST_BYTES = 2**30  # of one read: Linux stops a little below 2 GiB


class _Descriptor:
    """An open file, closed with the last object that reads from it."""

    def __init__(self, number: int):
        self.number = number
        weakref.finalize(self, os.close, number)


@dataclass(frozen=True, eq=False)
class RowFile:
    """Rows of numbers in an open file.

    Attributes:
        where: the file, for messages.
        num_rows: N.
        shape: shape of one row.
        stored: type of the numbers as they are stored.
        offset: where row 0 begins.
        whole: the source's cells are whole numbers, though stored as real ones to hold NaN among them.
    """

    where: str
    num_rows: int
    shape: tuple[int, ...]
    stored: np.dtype
    offset: int
    _descriptor: _Descriptor = field(repr=False)
    whole: bool = False

    @classmethod
    def of(
        cls, number: int, where: str, whole: tuple[int, ...], stored: np.dtype, offset: int = 0
    ) -> "RowFile":
        """Rows in the file of an open descriptor, which the result owns.

        Arguments:
            number: the descriptor.
            where: the file, for messages.
            whole: (N, *shape).
            stored: type of the numbers.
            offset: where row 0 begins.
        """
        return cls(where, whole[0], tuple(whole[1:]), stored, offset, _Descriptor(number))

    @property
    def dtype(self) -> np.dtype:
        """Type of what `read` returns: this machine's byte order, halves widened."""
        return native(self.stored)

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape)

    def shaped(self, shape: tuple[int, ...]) -> "RowFile":
        """The same rows seen in another shape of the same size."""
        return replace(self, shape=shape)

    def read(self, first: int, last: int) -> Shaped[np.ndarray, "N ..."]:
        """Rows first, ..., last - 1.

        Raises:
            InputError: the file has become shorter than it was when it was opened.
        """
        row_bytes = self.size * self.stored.itemsize
        values = np.empty((last - first, *self.shape), self.stored)
        bytes_ = values.reshape(-1).view(np.uint8).data
        done, start = 0, self.offset + first * row_bytes
        while done < len(bytes_):
            part = bytes_[done : done + _MOST_BYTES]
            count = os.preadv(self._descriptor.number, [part], start + done)
            if count == 0:
                raise InputError(
                    f"{counted(self.num_rows, 'row')}, as when the file was opened",
                    f"an end within row {first + done // row_bytes}",
                    "leaving the file as it is while it is in use",
                    where=self.where,
                )
            done += count
        return values.astype(self.dtype, copy=False)


def open_npy(path: Path | str) -> RowFile:
    """The array of a `.npy` file, left where it is.

    Raises:
        InputError: no such file, one that is damaged, cut short or packed, or whose array is not
            one of numbers in C order with two to four axes.
    """
    where = str(path)
    file = existing_file(where)
    with file.open("rb") as opened:
        first = opened.read(len(_MAGIC))
    if first != _MAGIC:
        packed = first[:2] == b"\x1f\x8b"
        raise InputError(
            f"a whole .npy file, which begins with {_MAGIC!r}",
            "one that gzip packed" if packed else f"one that begins with {first!r}",
            "unpacking it" if packed else "writing it with NumPy",
            where=where,
        )
    try:
        # Mapping reads the header and compares the sizes; it touches no page of the array.
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        objects = "Python objects" in str(error)
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            "an array of numbers" if objects else "a whole .npy file",
            "an array of Python objects, which only running code from the file could read"
            if objects
            else f"one that is damaged or cut short ({reason})",
            "saving it again as numbers" if objects else "writing it again with NumPy",
            where=where,
        ) from None
    check_form(mapped.shape, mapped.dtype, where)
    if not mapped.flags.c_contiguous:
        raise InputError(
            "a .npy file of numbers in C order, row after row",
            f"one in Fortran order of shape {mapped.shape}",
            "np.save(path, np.ascontiguousarray(rows))",
            where=where,
        )
    number = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    return RowFile.of(number, where, mapped.shape, mapped.dtype, mapped.offset)
