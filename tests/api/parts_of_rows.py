"""Rows of three parts by their seeds, and EM on them."""

from typing import Any

import numpy as np

import taut
from taut.data import Data

__all__ = ["PARTS", "SIZES", "data_of", "em_of", "exact_data", "rows_of"]

PARTS = ("train", "validation", "test")
SIZES = {"train": 40, "validation": 20, "test": 20}


def rows_of(part: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, PARTS.index(part)]).normal(size=(SIZES[part], 5))


def data_of(changed: str | None = None, **options: Any) -> Data:
    parts = tuple(rows_of(part, seed=int(part == changed)) for part in PARTS)
    return taut.load_data(parts, **options)


def em_of(data: Data, **options: Any) -> taut.Fit:
    return taut.em(data, **{"model": taut.PPCA(components=2), **options})


def exact_data(changed: str | None = None) -> Data:
    return data_of(changed, dtype="float64")
