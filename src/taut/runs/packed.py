"""Arrays by name as the bytes of one safetensors file, and back.

safetensors 0.8 writes the memory of an array under its shape, whatever the strides: one that is
transposed, sliced or in Fortran's order would come back as another. It also writes bfloat16 and does not
read it. Here every array is laid out row by row first, and the bytes are read by their type.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from safetensors import deserialize
from safetensors.numpy import save

__all__ = ["packed", "unpacked"]

_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64,
    "C64": np.complex64,
}  # fmt: skip


def packed(arrays: Mapping[str, np.ndarray], header: Mapping[str, str] | None = None) -> bytes:
    """The content of a file.

    Arguments:
        arrays: of any strides, by name.
        header: text beside them.
    """
    rows = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return save(rows, None if header is None else dict(header))


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Raises:
        SafetensorError: the file is damaged.
    """
    return {
        name: np.frombuffer(part["data"], _TYPES[part["dtype"]]).reshape(part["shape"]).copy()
        for name, part in deserialize(content)
    }
