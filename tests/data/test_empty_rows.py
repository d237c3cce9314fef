"""Rows without an observed cell are told of, wherever their 0 nats count in a mean."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.data import Data, empty_rows_note

RNG = np.random.default_rng(0)
N = 100
FRAME = pl.DataFrame(RNG.normal(size=(N, 3)), schema=["a", "b", "c"])
SHORT: dict[str, Any] = {
    "latent_dim": 1, "hidden": (4,), "epochs": 1, "batch_size": 20, "evidence_particles": 4,
}  # fmt: skip


def emptied(rows: Any, cells: int = 3, **options: Any) -> Data:
    """The rows, of which some have no value in the first columns."""
    empty = pl.Series(np.isin(np.arange(N), rows))
    names = FRAME.columns[:cells]
    frame = FRAME.with_columns(pl.when(~empty).then(pl.col(name)).alias(name) for name in names)
    return taut.load_data(frame, **options)


def number(part: Any) -> int:
    return int(np.isnan(part.x).all(axis=1).sum())


def test_it_says_how_many_are_in_which_part():
    data = emptied(range(0, N, 2))
    (note,) = empty_rows_note(data)
    train, test = number(data.train), number(data.test)
    assert f"{train} of {len(data.train)} training rows and {test} of {len(data.test)} test" in note
    assert "have no observed cell: the log-evidence of each is 0 nats" in note


def test_a_part_without_any_is_not_named():
    (one,) = map(int, emptied([]).test.index[:1])
    (note,) = empty_rows_note(emptied([one]))
    assert note.startswith(
        "1 of 10 test rows has no observed cell: the log-evidence of it is 0 nats"
    )


@pytest.mark.parametrize("data", [emptied([]), emptied(range(50), cells=2)])
def test_rows_with_a_cell_are_none(data):
    assert empty_rows_note(data) == ()


@pytest.mark.parametrize("options", [{}, {"columns": "auto"}])
def test_a_fit_tells_of_them(options):
    data, whole = emptied(range(0, N, 2), **options), emptied([], **options)
    model = "mixed" if options else "gmm"
    for rows, told in ((data, 1), (whole, 0)):
        exact = taut.em(rows, model=model, components=1, max_iterations=2)
        trained = taut.fit(rows, **SHORT)
        for fit in (exact, trained):
            assert sum("no observed cell" in note for note in fit.facts.notes) == told


def test_of_which_cells_are_missing_they_tell_something():
    fit = taut.fit(emptied(range(0, N, 2)), missingness="self-masking", **SHORT)
    assert fit.facts.measure is not None
    assert fit.facts.measure.masked
    assert not any("no observed cell" in note for note in fit.facts.notes)
