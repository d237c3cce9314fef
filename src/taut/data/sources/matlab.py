"""`FILE.mat[:KEY]`, and `.amat` files that are MATLAB inside: version 5 to 7 arrays.

Arrays are read with the axes that MATLAB shows; images that were stored column by column stay so.
"""

import io
import zlib

import numpy as np

from taut.data.sources.arrays import choose_array, split_key
from taut.data.sources.files import existing_file, file_bytes
from taut.data.sources.raw_rows import RawRows, Request, numeric_rows, take_label
from taut.errors import InputError

__all__ = ["is_matlab", "read_matlab"]


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
    arrays = {n: a for n, a in _loaded(content, path).items() if _numeric(a)}
    chosen, label = choose_array(list(arrays), key, request, path)
    values = numeric_rows(arrays[chosen], f"{path}:{chosen}")
    labels = None if label is None else take_label(arrays[label], len(values), f"{path}:{label}")
    return (RawRows(values=values, where=f"{path}:{chosen}", labels=labels, label_name=label),)


def _loaded(content: bytes, path: str) -> dict:
    import scipy.io
    from scipy.io.matlab import MatReadError

    try:
        return scipy.io.loadmat(io.BytesIO(content))
    except NotImplementedError as error:
        raise InputError(
            "a MATLAB file of version 5 to 7",
            "version 7.3, which is HDF5",
            "save(file, '-v7') in MATLAB",
            where=path,
        ) from error
    except (MatReadError, ValueError, TypeError, EOFError, OSError, KeyError, zlib.error) as error:
        raise InputError(
            "a whole MATLAB file",
            f"one that is damaged, cut short or of another format ({str(error).rstrip('.')})",
            "fetching or writing it again",
            where=path,
        ) from error


def _numeric(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biufc"
