"""Columns of different kinds: the log-density is the sum of each one's own, in its own units."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.special import expit, log_softmax

from taut.core import DENSITY, MASS, NOTHING, InputError
from taut.models import ColumnForm, ColumnReader
from taut.models.likelihoods import Mixed

FORMS = (
    ColumnForm("categorical", 3),
    ColumnForm("real", 0, 1.7, 0.1),
    ColumnForm("count", 0, 1.2, 0.6),
    ColumnForm("constant", 0, 4.0),
    ColumnForm("positive", 0, 10.0, 1.5),
    ColumnForm("binary"),
    ColumnForm("categorical", 2),
    ColumnForm("real", 0, -3.0, 2.0, "student-t"),
    ColumnForm("ordinal", 4),
    ColumnForm("ordinal", 2),
)
D = len(FORMS)
COLUMN = np.arange(D)
X = np.array([2.0, 1.62, 5.0, 4.0, 3e4, 1.0, 0.0, 11.0, 3.0, 0.0])
RNG = np.random.default_rng(0)


@eqx.filter_jit
def log_prob(likelihood: Mixed, outputs: Any, x: Any) -> Any:
    return likelihood(jnp.asarray(outputs)).log_prob(jnp.asarray(x))


def _cells(likelihood: Mixed, x: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """By SciPy."""
    dense, counts = likelihood.members[0], likelihood.members[1]
    scale = 1e-3 + np.logaddexp(np.asarray(dense.scale.raw), 0)
    r = 1e-3 + np.exp(np.asarray(counts.log_inverse_dispersion))[0]
    mean = np.exp(outputs[0, 2])
    heavy, ordered = likelihood.members[4], likelihood.members[5]
    wide = 1e-3 + np.logaddexp(np.asarray(heavy.scale.raw), 0)[0]
    df = 2 + np.logaddexp(float(heavy.raw_df), 0)
    gaps = 1e-3 + np.logaddexp(np.asarray(ordered.raw_gaps), 0)
    first = np.asarray(ordered.first)
    return np.array([
        log_softmax(outputs[:, 0])[int(x[0])],
        scipy.stats.norm.logpdf(x[1], 1.7 + 0.1 * outputs[0, 1], 0.1 * scale[0]),
        scipy.stats.nbinom.logpmf(x[2], r, r / (r + mean)),
        0.0,
        scipy.stats.lognorm.logpdf(
            x[4], 1.5 * scale[1], scale=np.exp(10.0 + 1.5 * outputs[0, 4])
        ),
        scipy.stats.bernoulli.logpmf(x[5], expit(outputs[0, 5])),
        log_softmax(outputs[:2, 6])[int(x[6])],
        scipy.stats.t.logpdf(x[7], df, -3.0 + 2.0 * outputs[0, 7], 2.0 * wide),
        np.log1p(-expit(first[0] + gaps[:, 0].sum() - outputs[0, 8])),
        np.log(expit(first[1] - outputs[0, 9])),
    ])  # fmt: skip


@pytest.mark.usefixtures("float64")
def test_cells_are_those_of_their_families_in_the_columns_own_units():
    likelihood = Mixed(forms=FORMS)
    outputs = RNG.normal(size=(likelihood.num_outputs, D))
    wanted = _cells(likelihood, X, outputs)
    found = log_prob(likelihood, outputs, X)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    mask = np.array([True, False, True, True, False, True, False, False, True, False])
    x = jnp.where(mask, X, jnp.nan)
    left, gradient = jax.jit(jax.value_and_grad(likelihood.log_prob, argnums=1))(x, outputs, mask)
    np.testing.assert_allclose(left, wanted[mask].sum(), rtol=1e-10)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[:, ~mask].any()
    assert likelihood.measures == (
        MASS, DENSITY, MASS, NOTHING, DENSITY, MASS, MASS, DENSITY, MASS, MASS,
    )  # fmt: skip


@pytest.mark.usefixtures("float64")
def test_draws_have_the_moments_of_the_mean_and_lie_in_their_supports():
    likelihood = Mixed(forms=FORMS)
    outputs = jnp.asarray(RNG.normal(size=(likelihood.num_outputs, D)) / 2)
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: likelihood(outputs).sample(key)))(keys))
    likelihood.check(draws, where="draws")
    mean = np.asarray(eqx.filter_jit(likelihood.mean)(outputs))
    for i in (1, 2, 5, 7):
        error = draws[:, i].std() / np.sqrt(len(draws))
        assert abs(draws[:, i].mean() - mean[i]) < 5 * error
    # The mean of a log-normal hangs on its tail; its logarithm does not.
    logs = np.log(draws[:, 4])
    assert abs(logs.mean() + logs.var() / 2 - np.log(mean[4])) < 5 * logs.std() * 2 / np.sqrt(
        20_000
    )
    assert (draws[:, 3] == 4.0).all()
    counts = np.bincount(draws[:, 0].astype(int), minlength=3)
    assert mean[0] == counts.argmax()
    assert set(draws[:, 6]) == set(draws[:, 9]) == {0.0, 1.0}
    shares = np.bincount(draws[:, 8].astype(int), minlength=4) / len(draws)
    cells = [log_prob(likelihood, outputs, np.where(COLUMN == 8, code, X)) for code in range(4)]
    wanted = np.exp([float(cell[8]) for cell in cells])
    np.testing.assert_allclose(shares, wanted, atol=0.02)
    np.testing.assert_allclose(wanted.sum(), 1.0, rtol=1e-12)


def test_a_start_has_the_shares_and_moments_of_the_columns():
    rows = np.column_stack([
        np.arange(90) % 3, RNG.normal(1.7, 0.1, 90), RNG.poisson(5, 90), np.full(90, 4.0),
        np.exp(RNG.normal(10, 1.5, 90)), np.arange(90) < 30, np.arange(90) % 2,
        RNG.normal(-3, 2, 90), np.arange(90) % 3 + 1, np.arange(90) < 30,
    ]).astype(np.float32)  # fmt: skip
    weight = np.ones_like(rows)
    weight[:30, 2], rows[:30, 2] = 0.0, 0.0
    start = eqx.filter_jit(Mixed(forms=FORMS).started_at)(jnp.asarray(rows), jnp.asarray(weight))
    mean = np.asarray(eqx.filter_jit(start.likelihood.mean)(start.outputs))
    np.testing.assert_allclose(mean[2], rows[30:, 2].mean(), rtol=1e-5)
    np.testing.assert_allclose(mean[[1, 5]], rows[:, [1, 5]].mean(axis=0), rtol=1e-4)
    assert np.isfinite(start.spread).all()


def test_an_encoder_reads_standardised_numbers_and_one_of_each_category():
    reader = ColumnReader(FORMS)
    mask = np.array([True, True, False, True, True, True, False, True, True, True])
    x = jnp.where(mask, X, jnp.nan)
    found = np.asarray(reader(x, jnp.asarray(mask), marked=True))
    wanted = [0, 0, 1, (1.62 - 1.7) / 0.1, 0, (np.log(3e4) - 10) / 1.5, 1, 0, 0, 7, 1, -1, *mask]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert len(found) == reader.size(marked=True)
    assert reader(jnp.asarray(X), None, marked=False).shape == (reader.size(marked=False),)


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 3.0), (1, np.inf), (2, 1.5), (4, 0.0), (5, 2.0), (6, -1.0), (8, 4.0), (9, 2.0)],
)
def test_values_outside_of_a_kind_are_refused(column, value):
    rows = np.stack([X, X])
    Mixed(forms=FORMS).check(np.where(COLUMN == 3, np.nan, rows), where="rows")
    rows[1, column] = value
    with pytest.raises(
        InputError, match=rf"rows, row 1, cell {column}: .* its column has, got {value:g}"
    ):
        Mixed(forms=FORMS).check(rows, where="rows")
