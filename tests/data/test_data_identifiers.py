"""Columns that number their rows are told of, however rows are held and in whatever order they are."""

import numpy as np
import pytest

import taut

RNG = np.random.default_rng(0)
N = 300
REAL = RNG.normal(size=(N, 1))
NUMBERS = {
    "rising": (np.arange(N) * 3, True),
    "in some order": (RNG.permutation(N) + 1, True),
    "in some order, from elsewhere": (RNG.permutation(N) + 10_000, True),
    "falling": (np.arange(N)[::-1], True),
    "one twice, one never": (np.where(np.arange(N) == 7, 8, np.arange(N))[::-1], False),
    "the sums of a count": (RNG.permutation([0, 4, 5, *range(3, N - 3), 0, 4, 5]), False),
    "with gaps": (RNG.permutation(N) * 2, False),
    "with a hole": (np.where(np.arange(N) == 9, np.nan, np.arange(N)), False),
    "not whole": (np.where(np.arange(N) == N - 1, N - 0.5, np.arange(N)), False),
}


def _notes(x, **options) -> list[str]:
    notes = taut.load_data(x, missing="model", **options).notes
    return [note for note in notes if "as identifiers do" in note]


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.parametrize("height", [1, 7, 1000])
def test_they_are_noted_in_memory_and_on_disk_alike(tmp_path, monkeypatch, case, height):
    monkeypatch.setattr("taut.data.survey._PART_CELLS", 2 * height)
    numbers, noted = NUMBERS[case]
    x = np.column_stack([REAL, numbers])
    np.save(tmp_path / "rows.npy", x)
    for found in (_notes(x), _notes(tmp_path / "rows.npy", stream="yes")):
        assert len(found) == noted
        assert all("column 1, counted from 0" in note for note in found)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16"])
def test_counts_in_a_narrow_type_that_fall_do_not_rise(dtype):
    """A difference below 0 is a large one of a type without signs."""
    x = RNG.integers(0, 100, (60, 2)).astype(dtype)
    x[:, 1] = np.tile([40, 20, 10], 20)
    assert not _notes(x)
