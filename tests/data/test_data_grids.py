"""Columns that repeat values: found, with the coarsest grid that holds them, or called a spike."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine

import taut
from taut.data import Schema
from taut.data.grids import Grid, grid_of, may_be_whole, repeats, whole_columns
from taut.data.identifiers import Numbering

RNG = np.random.default_rng(0)
N = 500


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        (RNG.poisson(3, N).astype(float), Grid(1, 0)),
        (RNG.integers(1, 6, N) * 10.0, Grid(10, 0)),
        (RNG.normal(5, 1, N).round(1), Grid(0.1, 0)),
        (RNG.integers(-3, 4, N).astype(float), Grid(1, -3)),
        (0.5 + RNG.poisson(2, N), Grid(1, 0.5)),
        (np.where(RNG.random(N) < 0.4, -0.0446, 0.0507), Grid(0.0953, -0.0446)),
        (RNG.choice([1 / 3, 2 / 3, 1.0, 5 / 3], N), Grid(0.333333333, 0)),
        (RNG.choice([0.0, 0.5, 1.25], N), Grid(0.25, 0)),
        (RNG.choice([1 / 7, 3 / 7, 2.0], N), Grid(1 / 7, 0)),
        (RNG.choice([87.0, 87.33, 91.67, 101.0], N), Grid(0.01, 0)),
        (RNG.normal(5, 1, N).round(1).astype(np.float32), Grid(0.1, 0)),
        (np.where(RNG.random(N) < 0.5, 100.0, RNG.uniform(0, 100, N)), Grid(0, 0)),
    ],
)
def test_grids(values, grid):
    assert repeats(values)
    found = grid_of(values)
    assert found.step == pytest.approx(grid.step, rel=1e-6)
    assert found.origin == pytest.approx(grid.origin, rel=1e-6)
    if found.step:
        k = (values - found.origin) / found.step
        np.testing.assert_allclose(k, np.rint(k), atol=1e-2)


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=N),
        RNG.normal(size=N).round(4),
        np.arange(N),
        np.full(N, 3.0),
        RNG.exponential(size=N),
    ],
)
def test_columns_that_do_not_repeat(values):
    assert not repeats(values)


def test_the_schema_knows_its_columns_in_any_precision():
    spike = np.where(RNG.random(N) < 0.5, 100, RNG.uniform(0, 100, N))
    x = np.column_stack([RNG.normal(size=N), RNG.poisson(3, N), spike])
    for dtype in ("float32", "float64"):
        schema = taut.load_data(x, dtype=dtype).schema
        assert (schema.steps, schema.origins, schema.spikes) == ((0, 1, 0), (0, 0, 0), (2,))
        assert type(schema).from_dict(schema.to_dict()).steps == schema.steps
    assert taut.load_data(RNG.normal(size=(N, 2))).schema.steps is None
    assert taut.load_data(load_iris().data).schema.steps == (0.1, 0.1, 0.1, 0.1)
    assert sum(map(bool, taut.load_data(load_wine().data).schema.steps)) < 8


@pytest.mark.parametrize("column", [np.arange(N), 10 + 7.0 * np.arange(N), RNG.permutation(N)])
def test_identifiers_are_named(column):
    notes = taut.load_data(np.column_stack([RNG.normal(size=N), column])).notes
    assert any("as identifiers do: column 1, counted from 0" in note for note in notes)
    assert not any("identifiers" in n for n in taut.load_data(load_wine().data).notes)


SCALES = (0.05, 1.0, 100.0, 1e6)
SEEDS = range(100)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 4, 5, 8, 20])
def test_few_values_are_on_no_grid_by_chance(size, dtype):
    """One in a thousand columns may be; two values are on a grid whatever they are."""
    found = []
    for seed in SEEDS:
        for i, scale in enumerate(SCALES):
            generator = np.random.default_rng([seed, size, i])
            values = scale * (generator.choice([0, 3]) + generator.normal(size=size))
            found.append(grid_of(values.astype(dtype).repeat(20)).step > 0)
    assert np.sum(found) <= 1e-3 * len(found) + 5 * np.sqrt(1e-3 * len(found))
    assert grid_of(generator.normal(size=2).astype(dtype)).step > 0


STEPS = (1.0, 10.0, 0.1, 0.25, 1 / 3, 0.0953, 0.01, 1 / 7)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [4, 6, 8, 20])
def test_values_on_a_grid_are_found_alike_in_both_precisions(size, step):
    for seed in SEEDS:
        generator = np.random.default_rng([seed, size])
        places = generator.choice(13 if size < 8 else 40, size, replace=False)
        places += generator.choice([0, 200])
        values = step * places
        exact, rounded = grid_of(values), grid_of(values.astype(np.float32))
        assert exact.step > 0
        assert rounded.step == pytest.approx(exact.step, rel=1e-4)
        assert rounded.origin == pytest.approx(exact.origin, rel=1e-4)
        of_step = np.gcd.reduce(np.diff(np.sort(places)))
        assert exact.step == pytest.approx(of_step * step, rel=1e-6)


@pytest.mark.parametrize("row", [3, 200])
def test_a_column_is_not_whole_wherever_it_says_so(row):
    """The first rows only save the others: in these, too, one number or more decides."""
    rng = np.random.default_rng(0)
    x = np.tile(np.arange(300.0)[:, None], 3)
    x[row, 1] += 0.5
    x[rng.random(300) < 0.1, 2] = np.nan
    schema = Schema(name="t", kind="table", shape=(3,), support="real")
    assert may_be_whole(x, np.arange(3)).tolist() == ([0, 2] if row < 64 else [0, 1, 2])
    assert whole_columns([x], schema) == whole_columns([x[:150], x[150:]], schema) == (0, 2)
    numbering = Numbering()
    numbering.add(x)
    assert numbering.columns.tolist() == [True, False, False]
