"""Each column of a latent class model has the values that occur in it, whatever numbers they are."""

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.core import InputError

pytestmark = pytest.mark.usefixtures("float64")

NUMBERS = (2, 5, 3)  # of answers to each of three items


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    """Two classes of answers to them, coded from 0, (90, 3)."""
    generator = np.random.default_rng(4)
    of_class = generator.random(90) < 0.4
    columns = [
        np.where(
            of_class, *(generator.choice(n, 90, p=generator.dirichlet(np.ones(n))) for _ in "ab")
        )
        for n in NUMBERS
    ]
    x = np.stack(columns, axis=1)
    assert tuple(x.max(axis=0) + 1) == NUMBERS
    return x


def _fit(x: np.ndarray, **options: Any) -> Any:
    return taut.em((x, x[::3], x[1::2]), model=taut.LCA(2), restarts=2, **options)


def test_the_space_of_answers_has_probability_one_and_is_counted_once(items):
    fit = _fit(items)
    em = fit.facts.em
    assert em.free_parameters == 1 + 2 * sum(n - 1 for n in NUMBERS)
    whole = np.asarray(list(itertools.product(*map(range, NUMBERS))), float)
    values = fit.evidence(whole, num_particles=2).values
    assert np.exp(values).sum() == pytest.approx(1.0, rel=1e-12)
    likelihood = fit.evidence(items, num_particles=2).values.sum()
    assert em.bic == pytest.approx(-2 * likelihood + em.free_parameters * np.log(90), rel=1e-10)
    # Laplace's rule by counting, for columns on their own.
    alone = sum(
        np.log((np.bincount(column, minlength=n) + 1) / (90 + n))[column[1::2]]
        for column, n in zip(items.T, NUMBERS, strict=True)
    )
    columns = fit.estimates["independent_columns"]
    np.testing.assert_allclose(columns.values, alone, rtol=1e-12)
    assert columns.side == "exact"


RECODED = {
    "from 1": lambda x: x + 1,
    "in tens": lambda x: 10 * (x + 1),
    "backwards": lambda x: 30 - x,
    "years": lambda x: np.array([1990, 2003, 2020, 1800, 3])[x],
}


@pytest.mark.parametrize("name", RECODED)
def test_other_numbers_for_the_same_answers_change_nothing(name, items):
    plain, recoded = _fit(items), _fit(RECODED[name](items))
    for quantity, estimate in plain.estimates.items():
        other = recoded.estimates[quantity]
        np.testing.assert_allclose(other.values, estimate.values, atol=1e-9)
    assert recoded.facts.em.free_parameters == plain.facts.em.free_parameters


def test_a_saved_model_draws_the_codes_of_its_data_and_no_others(items, tmp_path):
    coded = 10 * (items + 1)
    _fit(coded, out=tmp_path / "run")
    back = taut.load(tmp_path / "run")
    drawn = np.asarray(back.sample(500))
    for column, number in zip(drawn.T, NUMBERS, strict=True):
        assert set(np.unique(column)) == set(10.0 * np.arange(1, number + 1))
    unknown = np.array([[10.0, 60.0, 10.0]])  # a sixth answer to the second item
    assert float(back.model.log_evidence(taut.Datum(jnp.asarray(unknown[0])))) == -np.inf
    mean = np.asarray(back.decode(np.eye(2)))
    assert ((mean >= 10) & (mean <= 10 * np.asarray(NUMBERS))).all()


def test_an_answer_that_no_training_row_gives(items):
    held_out = items[:30].copy()
    held_out[0, 0] = 2
    fit: Any = taut.em((items, items, held_out), model=taut.LCA(2), restarts=1)
    assert fit.facts.em.free_parameters == 1 + 2 * (2 + 4 + 2)
    assert np.isfinite(fit.estimates["log_evidence"].values).all()
    said = "column 0 (counted from 0) is 2 in no training row"
    assert any(said in note for note in fit.facts.notes)


def test_levels_that_were_asked_for_are_those_of_every_column(items):
    fit: Any = taut.em((items, items, items), model=taut.LCA(2, levels=6), restarts=1)
    assert fit.facts.em.free_parameters == 1 + 2 * 3 * 5
    with pytest.raises(InputError, match=r"values 0\.\.1, got 4"):
        taut.em((items, items, items), model=taut.LCA(2, levels=2))


def test_the_table_of_a_run_names_the_codes(items, tmp_path, capsys):
    path, run = tmp_path / "items.csv", tmp_path / "run"
    pl.DataFrame(10 * items, schema=["a", "b", "c"], orient="row").write_csv(path)
    command = ["em", str(path), "--model", "lca", "--components", "2", "--restarts", "1"]
    assert main([*command, "--out", str(run), "--json"]) == 0
    capsys.readouterr()
    components = pl.read_csv(run / "components.csv")
    wanted = [f"p({c}={10 * v})" for c, n in zip("abc", NUMBERS, strict=True) for v in range(n)]
    assert components.columns == ["component", "weight", *wanted]
    for column in "abc":
        total = sum(components[name] for name in wanted if name.startswith(f"p({column}="))
        np.testing.assert_allclose(np.asarray(total), 1.0, rtol=1e-12)
