"""Which cells are missing is modelled with their values: log p(x_o, s) by grids, sums, a known case."""

from itertools import product
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.special import expit
from unchecked import types_unchecked

from taut.architectures.starting import started_masking
from taut.core import LOG_LIKELIHOOD, LOG_MASK, LOG_PRIOR, Datum, InputError
from taut.core.lbfgs import lbfgs
from taut.models import LatentVariableModel, SelfMasking, StandardNormal, Units
from taut.models.likelihoods import Gaussian, make_likelihood

WEIGHT, BIAS = np.array([0.8, -0.5]), np.array([0.3, -1.0])
SHIFT, SCALE = np.array([2.0, -1.0]), np.array([3.0, 0.5])
OFFSET, SLOPE = np.array([-0.4, 0.2]), np.array([1.5, -2.0])


class Line(eqx.Module):
    weight: jax.Array
    bias: jax.Array

    def __call__(self, z):
        return self.weight * z[0] + self.bias


@pytest.fixture(autouse=True)
def precise():
    with jax.enable_x64(True):
        yield


def line(likelihood, *, units=None, slope=SLOPE) -> Any:
    masking = SelfMasking(jnp.asarray(OFFSET), jnp.asarray(slope))
    network = Line(jnp.asarray(WEIGHT), jnp.asarray(BIAS))
    return LatentVariableModel(StandardNormal(1), network, likelihood, (2,), units, masking)


@eqx.filter_jit
def _given(model, datum, z):
    terms = jax.vmap(lambda one: model.terms(datum, one[None]))(z)
    return terms[LOG_LIKELIHOOD] + terms[LOG_MASK]


def log_evidence(model, datum):
    """By quadrature over z."""
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    given = np.asarray(_given(model, datum, jnp.asarray(z)))
    return float(np.log(np.sum(weight / weight.sum() * np.exp(given))))


@pytest.mark.parametrize("mask", list(product([True, False], repeat=2)))
def test_of_numbers_it_is_the_integral_over_a_grid(mask):
    model = line(Gaussian(shape=(2,)), units=Units(jnp.asarray(SHIFT), jnp.asarray(SCALE)))
    x = np.array([3.1, -1.2])
    datum = Datum(jnp.where(np.array(mask), x, np.nan), jnp.array(mask))
    grid = np.linspace(-9, 9, 1501)
    u = [np.atleast_1d((x[d] - SHIFT[d]) / SCALE[d]) if mask[d] else grid for d in (0, 1)]
    first, second = np.meshgrid(*u, indexing="ij")
    variance = float(model.likelihood.scale(jnp.zeros((0, 2)))) ** 2
    covariance = np.outer(WEIGHT, WEIGHT) + variance * np.eye(2)
    apart = np.stack([first, second], axis=-1) - BIAS
    square = np.einsum("abi,ij,abj->ab", apart, np.linalg.inv(covariance), apart)
    density = np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    for d, value in enumerate((first, second)):
        hidden = expit(OFFSET[d] + SLOPE[d] * value)
        density = density * ((1 - hidden) / SCALE[d] if mask[d] else hidden * (grid[1] - grid[0]))
    assert log_evidence(model, datum) == pytest.approx(np.log(density.sum()), abs=1e-6)


def test_of_bits_all_rows_and_masks_have_probability_one():
    model = line(make_likelihood("bernoulli", shape=(2,)))
    masks, rows = [], []
    for mask in product([True, False], repeat=2):
        for bits in product(*([0.0, 1.0] if seen else [np.nan] for seen in mask)):
            masks.append(mask)
            rows.append(bits)

    def one(x, mask):
        terms = model.terms(Datum(x, mask), jnp.array([0.7]))
        return terms[LOG_LIKELIHOOD] + terms[LOG_MASK]

    total = float(np.sum(np.exp(jax.jit(jax.vmap(one))(jnp.array(rows), jnp.array(masks)))))
    assert total == pytest.approx(1, abs=1e-12)


def test_with_slope_zero_it_is_the_observed_cells_times_a_constant():
    model = line(Gaussian(shape=(2,)), slope=np.zeros(2))
    plain = eqx.tree_at(lambda m: m.masking, model, None, is_leaf=lambda leaf: leaf is None)
    datum = Datum(jnp.array([0.4, np.nan]), jnp.array([True, False]))
    terms, own = (m.terms(datum, jnp.array([0.2])) for m in (model, plain))
    assert set(own) == {LOG_LIKELIHOOD, LOG_PRIOR}
    assert float(terms[LOG_LIKELIHOOD]) == float(own[LOG_LIKELIHOOD])
    rates = np.log(1 - expit(OFFSET[0])) + np.log(expit(OFFSET[1]))
    assert float(terms[LOG_MASK]) == pytest.approx(rates, abs=1e-12)
    assert model.measure.apart(plain.measure) == (0,)
    assert model.measure.words(0) == "densities at values and of what is missing"


def test_a_hidden_cell_has_the_mean_of_those_that_hide():
    model = line(Gaussian(shape=(2,)), units=Units(jnp.asarray(SHIFT), jnp.asarray(SCALE)))
    z, row = jnp.array([0.3]), Datum(jnp.full(2, jnp.nan), jnp.zeros(2, bool))
    scale = float(model.likelihood.scale(jnp.zeros((0, 2))))
    u = np.linspace(-9, 9, 4001)[:, None]
    centre = WEIGHT * 0.3 + BIAS
    weight = np.exp(-0.5 * ((u - centre) / scale) ** 2) * expit(OFFSET + SLOPE * u)
    mean = (weight * u).sum(0) / weight.sum(0)
    spread = np.sqrt((weight * u**2).sum(0) / weight.sum(0) - mean**2)
    hidden, every = jax.jit(lambda: (model.hidden_mean(row, z), model.mean(z)))()
    np.testing.assert_allclose(hidden, SHIFT + SCALE * mean, atol=1e-6)
    assert (np.abs(np.asarray(every) - np.asarray(hidden)) > 0.05).all()
    keys = jax.random.split(jax.random.key(0), 2000)
    draws = jax.jit(jax.vmap(lambda key: model.hidden_sample(row, z, key)))(keys)
    drawn = (np.asarray(draws) - SHIFT) / SCALE
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / np.sqrt(2000)).all()
    assert (np.abs(drawn.mean(0) - centre) > 5 * spread / np.sqrt(2000)).any()


def test_the_mean_of_what_hides_above_a_threshold_is_found_where_the_observed_mean_is_not():
    """x ~ N(0, 1), hidden with log-odds 3 (x - 0.5): by the maximum of the exact evidence."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4000, 1))
    mask = generator.random(x.shape) >= expit(3 * (x - 0.5))
    rows = Datum(jnp.where(mask, x, np.nan), jnp.asarray(mask))
    start = started_masking(rows, None)
    assert float(start.slope[0]) > 0
    likelihood = Gaussian(shape=(1,))
    network = Line(jnp.zeros(1), jnp.zeros(1))
    model = LatentVariableModel(StandardNormal(1), network, likelihood, (1,), None, start)
    moved, rest = eqx.partition(
        (network.bias, model.likelihood, model.masking), eqx.is_inexact_array
    )
    flat, unflat = ravel_pytree(moved)

    @jax.jit
    def mean_log_evidence(values):
        bias, likelihood, masking = eqx.combine(unflat(values), rest)
        own = LatentVariableModel(
            StandardNormal(1), Line(jnp.zeros(1), bias), likelihood, (1,), None, masking
        )

        def one(x, mask):
            terms = own.terms(Datum(x, mask), jnp.zeros(1))  # whose value z does not change
            return terms[LOG_LIKELIHOOD] + terms[LOG_MASK]

        return jnp.mean(jax.vmap(one)(rows.x, rows.mask))

    climb = jax.jit(jax.value_and_grad(mean_log_evidence))

    def value_and_slope(at):
        value, slope = climb(at)
        return float(value), np.asarray(slope)

    found = lbfgs(value_and_slope, np.asarray(flat), tolerance=1e-10, max_steps=200)
    steps = 1e-4 * np.eye(len(flat))
    ends = [[np.asarray(climb(found.point + sign * s)[1]) for sign in (1, -1)] for s in steps]
    information = -len(x) * np.array([(high - low) / 2e-4 for high, low in ends])
    error = np.sqrt(np.linalg.inv(information)[0, 0])
    bias, _, masking = eqx.combine(unflat(jnp.asarray(found.point)), rest)
    observed = x[mask]
    assert error < 0.1
    assert abs(float(bias[0])) < 5 * error
    assert abs(observed.mean()) > 5 * error
    assert abs(float(bias[0])) < abs(observed.mean()) / 3
    assert abs(float(masking.slope[0]) - 3) < 1


def test_what_it_does_not_serve_is_refused():
    import taut
    from taut.data import load_data
    from taut.training.hiding import share_hidden

    holes = np.where(np.random.default_rng(0).random((30, 2)) < 0.3, np.nan, 1.5)
    holes[:, 0] = np.arange(30)
    schema = load_data(holes).schema
    key = jax.random.key(0)
    with pytest.raises(InputError, match="expected rows with missing cells"):
        taut.VAE(missingness="self-masking").init(load_data(np.eye(12) + 0.5).schema, key)
    with pytest.raises(InputError, match="a gaussian or bernoulli likelihood"):
        taut.VAE(missingness="self-masking", likelihood="student-t").init(schema, key)
    with types_unchecked(), pytest.raises(InputError, match="one of at-random, self-masking"):
        taut.VAE(missingness="self")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="where cells are hidden at random in training"):
        share_hidden(0.5, taut.VAE(missingness="self-masking"), schema)
