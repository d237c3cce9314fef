"""Latent class analysis against enumeration and against counts by NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from taut.core import Datum, InputError
from taut.inference.exact import Floor, RowBlocks, log_evidences, random_start, run_em
from taut.models import LatentClass

pytestmark = pytest.mark.usefixtures("float64")


def classes(levels: int, cells: int, *, seed: int = 0) -> LatentClass:
    generator = np.random.default_rng(seed)
    logits, theta = generator.normal(size=2), generator.normal(size=(2, cells, levels))
    return LatentClass(jnp.asarray(logits), jnp.asarray(log_softmax(theta, axis=2)), (cells,))


def table(model: LatentClass, x: np.ndarray) -> np.ndarray:
    """log pi_k + log p_k(x_n), (N, K), by indexing."""
    theta, cells = np.asarray(model.log_theta), np.arange(x.shape[1])
    log_p = [[theta[k, cells, row].sum() for k in range(len(theta))] for row in x.astype(int)]
    return log_softmax(np.asarray(model.logits)) + np.asarray(log_p)


def test_probabilities_of_all_rows_add_up_to_one():
    model = classes(levels=3, cells=4)
    x = np.asarray(list(itertools.product(range(3), repeat=4)), float)
    values = log_evidences(model, RowBlocks(x))
    np.testing.assert_allclose(np.exp(values).sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(values, logsumexp(table(model, x), axis=1), rtol=1e-12)
    statistics = model.expected(jnp.asarray(x), jnp.ones(len(x)))
    assert float(statistics.log_evidence) == pytest.approx(values.sum(), rel=1e-12)


def test_unobserved_cells_are_summed_out():
    model = classes(levels=3, cells=4)
    mask, row = np.array([True, False, True, True]), np.array([2.0, 7.0, 0.0, 1.0])
    rest = [np.where(mask, row, value) for value in range(3)]
    truth = logsumexp(table(model, np.asarray(rest)))
    value = model.log_evidence(Datum(jnp.asarray(row), mask=jnp.asarray(mask)))
    assert float(value) == pytest.approx(truth, rel=1e-12)
    outside = model.log_evidence(Datum(jnp.asarray([0.0, 0.0, 3.0, 0.0])))
    assert float(outside) == -np.inf


@pytest.mark.parametrize("pseudo_rows", [0.0, 1.0])
def test_an_iteration_counts_as_numpy_does(answers, pseudo_rows):
    start, rows = classes(levels=2, cells=4), RowBlocks(answers)
    moved = run_em(
        start, rows, Floor(pseudo_rows).of(start, rows), tolerance=0.0, max_iterations=1
    ).model
    assert isinstance(moved, LatentClass)
    joint = table(start, answers)
    r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    ones = (r.T @ answers + pseudo_rows) / (r.sum(0)[:, None] + 2 * pseudo_rows)
    np.testing.assert_allclose(np.exp(moved.log_theta)[:, :, 1], ones, rtol=1e-10)
    np.testing.assert_allclose(np.exp(moved.log_pi), r.mean(0), rtol=1e-10)
    np.testing.assert_allclose(
        moved.log_penalty(jnp.asarray(pseudo_rows)), pseudo_rows * np.sum(moved.log_theta)
    )


def test_values_that_never_come_up_have_no_probability(answers):
    x = answers.copy()
    x[:, 2] = 0.0
    start, rows = classes(levels=2, cells=4), RowBlocks(x)
    result = run_em(start, rows, Floor(0.0).of(start, rows), tolerance=1e-9)
    assert result.converged
    np.testing.assert_array_equal(result.model.log_theta[:, 2, 1], -np.inf)
    seen = x[:1].copy()
    seen[0, 2] = 1.0
    assert log_evidences(result.model, RowBlocks(seen))[0] == -np.inf


def test_mean_and_sample(answers):
    model = classes(levels=2, cells=4)
    z = jnp.array([0.0, 1.0])
    p = np.exp(np.asarray(model.log_theta))[1, :, 1]
    np.testing.assert_allclose(model.mean(z), p, rtol=1e-12)
    draws = np.asarray(
        jax.jit(jax.vmap(lambda key: model.sample(z, key)))(
            jax.random.split(jax.random.key(0), 4000)
        )
    )
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert (np.abs(draws.mean(0) - p) < 5 * np.sqrt(p * (1 - p) / 4000)).all()


def test_starts_differ_and_bad_tables_are_refused(answers):
    model, rows = classes(levels=2, cells=4), RowBlocks(answers)
    # Two clusters of four cells are found from anywhere, six are not.
    many = LatentClass(jnp.zeros(6), jnp.full((6, 4, 2), np.log(0.5)), (4,))
    first, second = (random_start(many, rows, rows.spread(), seed=s) for s in (0, 1))
    assert not np.allclose(first.log_theta, second.log_theta)
    with pytest.raises(InputError, match="tables for 2 classes and 5 cells"):
        LatentClass(model.logits, model.log_theta, (5,))
    with pytest.raises(InputError, match="reg_covar: expected reg_covar for a Gaussian mixture"):
        Floor(0.0, 1e-6).of(model, rows)
