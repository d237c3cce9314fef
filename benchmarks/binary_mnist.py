"""Rows of 784 cells, 0 or 1: MNIST from $TAUT_DATA, binarized by its grey levels, else noise."""

import os
from pathlib import Path
from typing import Literal

import numpy as np

__all__ = ["binary_rows"]


def binary_rows(split: Literal["train", "test"], count: int) -> tuple[np.ndarray, str]:
    """At most `count` rows in float32, and what they are."""
    generator = np.random.default_rng(0)
    folder = Path(os.environ.get("TAUT_DATA", "")) / "mnist"
    if "TAUT_DATA" not in os.environ or not folder.is_dir():
        return (generator.random((count, 784)) < 0.3).astype(np.float32), "noise"
    from taut.data import load_data

    grey = getattr(load_data(f"mnist:{folder}"), split).x.reshape(-1, 784)[:count]
    return (generator.random(grey.shape) < grey).astype(np.float32), f"MNIST {split}, binarized"
