"""Arrays by name as the bytes of one safetensors file, and back.

safetensors 0.8 writes the memory of an array under its shape, whatever the strides: one that is
transposed, sliced or in Fortran's order would come back as another. It also writes bfloat16 and does not
read it. Here every array is laid out row by row first, and the bytes are read by their type.

The header holds the SHA-256 of the arrays and of the rest of the header. safetensors writes the text
there in an order that changes from call to call; here equal content has equal bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors import deserialize
from safetensors.numpy import save

__all__ = ["Unpacked", "packed", "unpacked"]

_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64,
    "C64": np.complex64,
}  # fmt: skip
_SEAL = "sha256"


class Unpacked(NamedTuple):
    """The content of a file.

    Attributes:
        arrays: by name.
        header: text beside them; `sha256` among it, unless an earlier taut wrote the file.
    """

    arrays: dict[str, np.ndarray]
    header: dict[str, str]


def packed(arrays: Mapping[str, np.ndarray], header: Mapping[str, str] | None = None) -> bytes:
    """The content of a file.

    Arguments:
        arrays: of any strides, by name.
        header: text beside them.
    """
    rows = {name: _native(np.asarray(array, order="C")) for name, array in arrays.items()}
    header = dict(header or {})
    content = save(rows, {**header, _SEAL: _digest(rows, header)})
    return _in_order(content) if header else content


def unpacked(content: bytes) -> Unpacked:
    """What a file holds.

    Raises:
        SafetensorError, LookupError, TypeError, ValueError: the file is damaged.
    """
    arrays = {
        name: np.frombuffer(part["data"], _TYPES[part["dtype"]]).reshape(part["shape"]).copy()
        for name, part in deserialize(content)
    }
    length = int.from_bytes(content[:8], "little")
    header = dict(json.loads(content[8 : 8 + length]).get("__metadata__", {}))
    rest = {name: text for name, text in header.items() if name != _SEAL}
    if _SEAL in header and header[_SEAL] != _digest(arrays, rest):
        raise ValueError("its checksum does not hold")
    return Unpacked(arrays, header)


def _in_order(content: bytes) -> bytes:
    """The same file, its text by name."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    words = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    words += b" " * (-len(words) % 8)  # arrays begin at multiples of eight
    return len(words).to_bytes(8, "little") + words + content[end:]


def _native(array: np.ndarray) -> np.ndarray:
    """The array in the machine's order of bytes, which is that of the file."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _digest(arrays: Mapping[str, np.ndarray], header: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
