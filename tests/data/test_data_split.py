"""Splits and streams: partitions for every seed, and the same ones on every machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taut.data import split_rows
from taut.data.streams import Stream, check_seed, permutation, philox

SEEDS = st.integers(0, 2**64 - 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    num_rows=st.integers(40, 300),  # the first part gets what the others leave, up to 1.5 rows less
    shares=st.lists(st.integers(1, 6), min_size=2, max_size=4),
)
def test_parts_hold_every_row_once(seed, num_rows, shares):
    parts = split_rows(num_rows, [s / sum(shares) for s in shares], seed=seed)
    assert [p.dtype for p in parts] == [np.int32] * len(shares)
    assert sorted(np.concatenate(parts).tolist()) == list(range(num_rows))
    for part, share in zip(parts[1:], shares[1:], strict=True):
        assert abs(len(part) - num_rows * share / sum(shares)) <= 0.5


def test_default_shares():
    assert [len(p) for p in split_rows(1797)] == [1437, 180, 180]


def test_seed_decides_the_split():
    first, again, other = split_rows(100), split_rows(100), split_rows(100, seed=1)
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    assert np.concatenate(first).tolist() != np.concatenate(other).tolist()


def philox_4x64(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds of Philox-4x64 (Salmon et al. 2011, section 3.3) in whole-number arithmetic."""
    multipliers = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
    weyl = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = multipliers[0] * c[0], multipliers[1] * c[2]
        low = 2**64 - 1
        c = [(right >> 64) ^ c[1] ^ k[0], right & low, (left >> 64) ^ c[3] ^ k[1], left & low]
        k = [(k[0] + weyl[0]) & low, (k[1] + weyl[1]) & low]
    return c


@pytest.mark.parametrize(
    ("seed", "stream", "position"),
    [(0, Stream.SPLIT, 0), (7, Stream.EPOCH, 5), (2**64 - 1, Stream.BINARIZE, 2)],
)
def test_streams_are_philox_keyed_by_seed_and_purpose(seed, stream, position):
    blocks = [philox_4x64([i, 0, 0, position], [seed, stream.value]) for i in (1, 2, 3)]
    words = [word for block in blocks for word in block]
    assert philox(seed, stream, position).random_raw(12).tolist() == words
    assert permutation(philox(seed, stream, position), 12).tolist() == sorted(
        range(12), key=words.__getitem__
    )


@pytest.mark.parametrize(
    ("fractions", "got"),
    [((0.5, 0.6), "0.5, 0.6"), ((1.0, 0.0), "1.0, 0.0"), ((1.0,), "1.0"), ((), "none")],
)
def test_fractions_that_are_no_shares(refusal, fractions, got):
    assert refusal(split_rows, 10, fractions) == (
        f"split: expected two or more positive shares that add up to 1, got {got}. "
        "Try split=(0.8, 0.1, 0.1)."
    )


def test_part_without_rows(refusal):
    assert refusal(split_rows, 4) == (
        "split: expected at least one row in every part, got parts of 4, 0, 0 out of 4 rows. "
        "Try more rows, or a split with larger shares of the empty part."
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, True])
def test_seed_that_is_none(refusal, seed):
    message = refusal(check_seed, seed)
    assert message.startswith("seed: expected a whole number from 0 to 2^64 - 1, got ")
