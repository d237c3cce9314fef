"""Random streams of the data layer: counter-based, keyed by (seed, purpose), addressed by position.

Philox maps (key, counter) to random words with no state between calls, so that a split, a
binarization and the order of epoch 37 are functions of the seed alone, in any order of asking. Only
the raw words and the exact conversion to uniforms are used; NumPy guarantees those across versions.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Int32, Int64

from taut.errors import InputError, option

__all__ = ["WORDS", "Stream", "check_seed", "distinct", "permutation", "philox"]

WORDS = 4  # that Philox-4x64 makes of one value of its counter


class Stream(IntEnum):
    """What a stream is for; streams of different purposes are independent for one seed."""

    SPLIT = 0
    BINARIZE = 1
    EPOCH = 2
    HELD_OUT = 3
    BLOCKS = 4
    WINDOW = 5
    SAMPLE = 6


def philox(seed: int, stream: Stream, position: int = 0, *, block: int = 0) -> np.random.Philox:
    """The bit generator of (seed, stream) at `position`, an epoch or part; each holds 2^192 blocks.

    A block is `WORDS` words; `block` skips as many blocks at no cost.
    """
    check_seed(seed)
    key = np.array([seed, int(stream)], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([block, 0, 0, position], dtype=np.uint64))


def permutation(bits: np.random.Philox, num_rows: int) -> Int32[np.ndarray, " num_rows"]:
    """A uniformly random order of 0..num_rows - 1, as the ranks of random 64-bit words."""
    return np.argsort(bits.random_raw(num_rows), kind="stable").astype(np.int32)


def distinct(bits: np.random.Philox, count: int, num_rows: int) -> Int64[np.ndarray, " count"]:
    """`count` different numbers of 0..num_rows - 1 in random order, by drawing again what occurred.

    What is held grows with `count` and not with `num_rows`. Word mod N prefers no number by more than
    N 2^-64.
    """
    found = np.zeros(0, np.int64)
    while len(found) < count:
        words = bits.random_raw(2 * (count - len(found)) + 16)
        drawn = (words % np.uint64(num_rows)).astype(np.int64)
        both = np.concatenate([found, drawn])
        _, first = np.unique(both, return_index=True)
        found = both[np.sort(first)]
    return found[:count]


def check_seed(seed: object) -> None:
    """Refuse a seed that is not a whole number in [0, 2^64)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise InputError(
            "a whole number from 0 to 2^64 - 1", repr(seed), option("seed", 0), where="seed"
        )
