"""Shared by the tests of the data layer: the one line of a refusal, and writers of small files."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from taut.errors import InputError


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Call something that must be refused; the message, with the test's folder left out."""

    def call(function: Callable, *args, **kwargs) -> str:
        with pytest.raises(InputError) as caught:
            function(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message
        assert ": expected " in message
        assert ". Try " in message
        return message.replace(f"{tmp_path}/", "").replace(str(tmp_path), "FOLDER")

    return call


@pytest.fixture
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """An unsigned-byte array as an IDX file, by the format's description."""

    def pack(array: np.ndarray) -> bytes:
        header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
        return header + array.astype(np.uint8).tobytes()

    return pack


@pytest.fixture
def mnist_folder(tmp_path: Path, idx_bytes: Callable) -> Path:
    """A folder with the names of MNIST: 60 + 10 images of 4 x 3 cells, the row's number in cell 0."""
    folder = tmp_path / "small"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 10)):
        images = rng.integers(0, 256, size=(count, 4, 3))
        images[:, 0, 0] = np.arange(count)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 10))
    return folder
