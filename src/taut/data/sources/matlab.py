"""`FILE.mat[:KEY]`, and `.amat` files that are MATLAB inside: version 5 to 7 arrays.

Arrays are read with the axes that MATLAB shows; images that were stored column by column stay so. Sparse
matrices are read as the tables that they stand for. Without a key a single number is never taken for the
data: beside a cell array or a structure it is a setting.
"""

import io
import subprocess
import sys
import zlib
from typing import Any, NoReturn

import numpy as np

from taut.data.sources.arrays import choose_array, split_key
from taut.data.sources.files import existing_file, file_bytes
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, take_label
from taut.errors import InputError

__all__ = ["is_matlab", "read_matlab"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512  # bytes of MATLAB's own header before it
_READ = "import io, scipy.io, sys; scipy.io.loadmat(io.BytesIO(sys.stdin.buffer.read()))"


def is_matlab(source: str) -> bool:
    """True for a `.mat` name, and for an `.amat` file whose first bytes are MATLAB's."""
    path, _ = split_key(source, "mat")
    if path.lower().endswith(".amat"):
        try:
            with existing_file(path).open("rb") as file:
                return file.read(6) == b"MATLAB"
        except InputError:
            return False
    return path.lower().endswith(".mat")


def read_matlab(source: str, request: Request) -> tuple[RawRows, ...]:
    """One numeric array of the file, and another as labels where the request names one.

    Raises:
        InputError: a version 7.3 file; a damaged file; a name that is no numeric array's; several
            arrays and no key.
    """
    path, key = split_key(source, "mat")
    content = file_bytes(path)
    found = {n: _dense(a) for n, a in _loaded(content, path).items() if not n.startswith("__")}
    arrays: dict[str, Any] = {n: a for n, a in found.items() if _numeric(a)}
    others = {n: _kind(a) for n, a in found.items() if n not in arrays}
    if key is not None and key in others:
        _refuse_kind(others, key, path)
    tables = [n for n, a in arrays.items() if a.size > 1 or n in (key, request.label)]
    if key is None and others and not any(n != request.label for n in tables):
        _refuse_kind(others, next(iter(others)), path)
    names = tables or list(arrays)
    chosen, label = choose_array(names, key, request, path)
    values = numeric_rows(arrays[chosen], f"{path}:{chosen}")
    labels = None if label is None else take_label(arrays[label], len(values), f"{path}:{label}")
    left = {**others, **{n: "a single number" for n in arrays if n not in tables}}
    notes = tuple(f"{path}: left out '{name}', {kind}" for name, kind in left.items())
    where = f"{path}:{chosen}"
    return (RawRows(values=values, where=where, labels=labels, label_name=label, notes=notes),)


def _refuse_kind(others: dict[str, str], name: str, path: str) -> NoReturn:
    """Refuse what is no array of numbers as the data."""
    remedy = "cell2mat in MATLAB" if others[name] == "a cell array" else "its numbers as one matrix"
    raise InputError(
        "an array of numbers", f"{others[name]}, '{name}'", f"{remedy}, saved beside it",
        where=path,
    )  # fmt: skip


def _dense(array: Any) -> Any:
    import scipy.sparse

    return array.toarray() if scipy.sparse.issparse(array) else array


def _kind(array: Any) -> str:
    """What MATLAB calls an array that does not hold numbers."""
    kind = array.dtype.kind if isinstance(array, np.ndarray) else ""
    return {"O": "a cell array", "V": "a structure", "U": "text", "S": "text"}.get(
        kind, "an object"
    )


def _loaded(content: bytes, path: str) -> dict:
    import scipy.io
    from scipy.io.matlab import MatReadError

    newer = InputError(
        "a MATLAB file of version 5 to 7", "version 7.3, which is HDF5",
        "save(file, '-v7') in MATLAB, or h5py and np.save in Python", where=path,
    )  # fmt: skip
    if any(content[start : start + len(_HDF5)] == _HDF5 for start in (0, _USER_BLOCK)):
        raise newer
    if _ends_its_reader(content):
        raise _damaged("SciPy's reader does not survive it", path)
    try:
        return scipy.io.loadmat(io.BytesIO(content), spmatrix=False)
    except NotImplementedError as error:
        raise newer from error
    except (
        MatReadError,
        ValueError,
        TypeError,
        EOFError,
        OSError,
        LookupError,
        zlib.error,
    ) as error:
        raise _damaged(str(error).rstrip("."), path) from error


def _ends_its_reader(content: bytes) -> bool:
    """Whether a process that reads the file is ended by a signal, as compiled code is by some damage."""
    reading = [sys.executable, "-I", "-c", _READ]
    return subprocess.run(reading, input=content, capture_output=True, check=False).returncode < 0


def _damaged(why: str, path: str) -> InputError:
    return InputError(
        "a whole MATLAB file", f"one that is damaged, cut short or of another format ({why})",
        "fetching or writing it again", where=path,
    )  # fmt: skip


def _numeric(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biufc"
