"""A row is named by its number in the data that it came from, whichever rows were looked at."""

from importlib import import_module
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import InputError, RunError
from taut.inference.exact import Floor, RowBlocks, run_em
from taut.models import GaussianMixture
from taut.sklearn import Mixture

online_module = import_module("taut.inference.exact.online_em")


@pytest.fixture
def with_spike() -> np.ndarray:
    """Rows of which 400, ..., 449 are the same far one, (600, 2)."""
    x = np.random.default_rng(0).normal(size=(600, 2))
    x[400:450] = 8.0
    return x


@pytest.mark.parametrize("stream", ["no", "yes"])
def test_a_component_of_online_em_names_its_row(with_spike, stream, tmp_path, monkeypatch):
    monkeypatch.setattr(online_module, "_SAMPLE", 300)
    np.save(tmp_path / "x.npy", with_spike)
    data = taut.load_data(tmp_path / "x.npy", dtype="float64", stream=stream)
    fit = taut.em(data, components=2, online=True, batch_size=240, restarts=1)
    facts: Any = fit.facts.em
    (held,) = facts.held_apart
    np.testing.assert_array_equal(with_spike[held.row], 8.0)


TWO = np.where(np.arange(600)[:, None] % 3 == 0, [0.5, 7.0], [8.25, -3.5])
COUNTS = np.arange(600) % 4  # how often each row counts for an estimator


def _of_all_rows(path) -> Any:
    return taut.em(TWO, model=taut.GMM(2, "diag"), restarts=1)


def _of_a_sample(path) -> Any:
    return taut.em(TWO, model=taut.GMM(2, "diag"), online=True, batch_size=240, restarts=1)


def _of_a_file(path) -> Any:
    np.save(path / "x.npy", TWO)
    data = taut.load_data(path / "x.npy", dtype="float64", stream="yes")
    return taut.em(data, model=taut.GMM(2, "diag"), online=True, batch_size=240, restarts=1)


def _of_weighted_rows(path) -> Any:
    mixture = Mixture(2, covariance_type="diag", n_init=1, random_state=0)
    return mixture.fit(TWO, sample_weight=COUNTS).fit_


@pytest.mark.parametrize(
    ("door", "rows"),
    [(_of_all_rows, 480), (_of_a_sample, 480), (_of_a_file, 480), (_of_weighted_rows, COUNTS.sum())],
)  # fmt: skip
def test_the_rows_of_the_components_add_up_to_those_of_the_training(
    door, rows, tmp_path, monkeypatch
):
    """Rows of two values, on each of which the floor holds a component."""
    monkeypatch.setattr(online_module, "_SAMPLE", 100)
    held = door(tmp_path).facts.em.held_apart
    assert len(held) == 2
    assert sum(one.rows for one in held) == pytest.approx(rows)


def test_a_singular_component_names_its_row(with_spike, float64):
    data = taut.load_data(with_spike, dtype="float64")
    rows = RowBlocks(data.train)
    start = GaussianMixture(
        jnp.zeros(2),
        jnp.asarray([[0.0, 0.0], [8.0, 8.0]]),
        jnp.stack([jnp.eye(2), 0.1 * jnp.eye(2)]),
    )
    with pytest.raises(RunError, match=r"singular around row 4[0-4][0-9] "):
        run_em(start, rows, Floor(0.0).of(start, rows))


def test_a_cell_that_is_not_finite_names_its_row():
    x = np.random.default_rng(0).normal(size=(6, 2))
    x[4, 1] = np.inf
    with pytest.raises(InputError, match="inf in row 44"):
        RowBlocks(x, numbers=10 * np.arange(6) + 4).spread()
