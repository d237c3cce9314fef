"""Facts of data sets that the field publishes, read from the folder that TAUT_DATA names."""

import os
from pathlib import Path

import numpy as np
import pytest

from taut.data import load_data

FOLDER = Path(os.environ.get("TAUT_DATA", ""))
pytestmark = [
    pytest.mark.needs_data,
    pytest.mark.skipif("TAUT_DATA" not in os.environ, reason="TAUT_DATA names no folder"),
]


def sizes(data):
    return [len(part) for part in (data.train, data.validation, data.test)]


def test_mnist():
    data = load_data(f"mnist:{FOLDER / 'mnist'}")
    assert sizes(data) == [50000, 10000, 10000]
    x = np.concatenate([data.train.x, data.validation.x])
    assert x.mean(dtype=np.float64) == pytest.approx(0.13066, abs=5e-6)
    assert x.std(dtype=np.float64) == pytest.approx(0.30811, abs=5e-6)


def test_binarized_mnist():
    files = [FOLDER / "binarized_mnist" / f"binarized_mnist_{p}.amat" for p in ("train", "valid")]
    source = ",".join(map(str, [*files, str(files[0]).replace("train", "test")]))
    data = load_data(source, image_shape=(28, 28))
    assert sizes(data) == [50000, 10000, 10000]
    assert (data.schema.support, data.schema.shape) == ("binary", (28, 28))


def test_nltcs():
    names = [str(FOLDER / "debd" / f"nltcs.{p}.data.gz") for p in ("train", "valid", "test")]
    data = load_data(",".join(names))
    assert sizes(data) == [16181, 2157, 3236]
    assert (data.schema.support, data.schema.shape) == ("binary", (16,))
