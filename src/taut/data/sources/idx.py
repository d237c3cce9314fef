"""IDX files, the format of MNIST: `...-idx3-ubyte`, packed by gzip or not.

    two zero bytes | type code | rank | rank big-endian 32-bit lengths | cells, big-endian, row-major

Source: LeCun, Cortes and Burges, "The MNIST database", section "File formats".
"""

import math
import re

import numpy as np

from taut.data.sources.files import file_bytes
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, refuse_columns
from taut.errors import InputError, counted

__all__ = ["is_idx", "read_idx", "read_idx_file"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(source: str) -> bool:
    """True for a name that ends as IDX files are named."""
    return re.search(r"idx\d-[a-z]+(\.gz)?$", source.lower()) is not None


def read_idx_file(source: str, request: Request) -> tuple[RawRows, ...]:
    """The rows of one IDX file, without labels."""
    refuse_columns(request, source)
    return (RawRows(values=numeric_rows(read_idx(source), source), where=source),)


def read_idx(path: str) -> np.ndarray:
    """The array of an IDX file.

    Raises:
        InputError: a wrong magic number; content shorter or longer than the header says.
    """
    content = file_bytes(path)
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise InputError(
            "an IDX file, which begins with two zero bytes, a type code and a rank",
            f"one that begins with {magic.hex(' ')}",
            "fetching it again",
            where=path,
        )
    rank = magic[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise InputError(
            f"a header of {start} bytes",
            counted(len(content), "byte"),
            "fetching it again",
            where=path,
        )
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], dtype=">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    length = start + math.prod(shape) * dtype.itemsize
    if len(content) != length:
        raise InputError(
            f"{counted(length, 'byte')} for an array of shape {shape}",
            counted(len(content), "byte"),
            "fetching it again",
            where=path,
        )
    cells = np.frombuffer(content, dtype=dtype, offset=start).reshape(shape)
    return cells.astype(dtype.newbyteorder("="))
