"""Laws of the likelihoods, over every member of the registry."""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from likelihood_cases import (
    CASES,
    EPS,
    LEVELS,
    SHAPE,
    Case,
    cells_given,
    log_prob,
    made,
    over_cases,
    softplus,
    some_outputs,
    some_x,
    value_and_gradient,
)
from registered import concrete_subclasses
from scipy.special import expit, log_expit, log_softmax

import taut.models
from taut.models.likelihoods import (
    LIKELIHOODS,
    AbstractLikelihood,
    Bernoulli,
    Categorical,
    Mixed,
    Poisson,
    make_likelihood,
)

# --- the registry -------------------------------------------------------------------------------


def test_every_likelihood_is_in_the_registry_and_under_the_laws():
    found = concrete_subclasses(AbstractLikelihood, taut.models)
    # Of columns of many kinds: no name chooses it, its members are under the laws, their sum is tested
    # cell by cell in tests/models/test_mixed_columns.py.
    assert {*LIKELIHOODS.values(), Mixed} == found
    assert set(LIKELIHOODS) == {case.name for case in CASES}
    assert all(cls.name == name for name, cls in LIKELIHOODS.items())


@over_cases
def test_options_rebuild_the_structure(case: Case):
    likelihood = made(case)
    options = json.loads(json.dumps(likelihood.options()))
    again = make_likelihood(likelihood.name, shape=SHAPE, **options)
    assert jax.tree.structure(again) == jax.tree.structure(likelihood)
    shapes = [jax.tree.map(jnp.shape, jax.tree.leaves(tree)) for tree in (again, likelihood)]
    assert shapes[0] == shapes[1]


# --- densities ----------------------------------------------------------------------------------


@over_cases
@pytest.mark.usefixtures("float64")
def test_sums_to_one_with_its_mean(case: Case):
    """One cell, at three outputs; with a library, at the total of some row."""
    likelihood = made(case, ())
    assert likelihood.discrete == isinstance(case.support, np.ndarray)
    for seed in range(3):
        outputs = some_outputs(likelihood, (), seed)
        cells = functools.partial(cells_given, likelihood, outputs, jnp.asarray(7.0))
        if likelihood.discrete:
            mass = np.exp(np.asarray(cells(jnp.asarray(case.support))[0]))
            total, mean = mass.sum(), (mass * case.support).sum()
            error = len(mass) * 8 * EPS * (1 + mean)
        else:
            density = lambda x, f=cells: np.exp(float(f(x)[0]))  # noqa: E731
            total, error = scipy.integrate.quad(density, *case.support, epsabs=1e-10)
            mean, mean_error = scipy.integrate.quad(
                lambda x, p=density: x * p(x), *case.support, epsabs=1e-9
            )
            error = max(error, mean_error) + 100 * EPS
        assert abs(total - 1) <= error
        assert abs(mean - cells(jnp.asarray(0.0))[1]) <= error


@over_cases
@pytest.mark.usefixtures("float64")
def test_equals_scipy(case: Case):
    likelihood, x = made(case), some_x(case)
    outputs = some_outputs(likelihood)
    value = log_prob(likelihood, x, outputs)
    cells = case.log_density(np.asarray(x), np.asarray(outputs), likelihood)
    assert value.shape == ()
    np.testing.assert_allclose(value, cells.sum(), rtol=1e3 * EPS)
    # Planted: another constant, and outputs of another row.
    assert abs(value - (cells.sum() + 0.5)) > 1e-3
    elsewhere = case.log_density(np.asarray(x), np.asarray(outputs[:, ::-1]), likelihood)
    assert abs(value - elsewhere.sum()) > 1e-3


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_distribution_has_the_shape_of_the_data_and_draws_what_check_accepts(name: str):
    likelihood = made(next(case for case in CASES if case.name == name))

    @jax.jit
    def all_at_once(outputs: Any) -> Any:
        distribution = likelihood(outputs)
        assert (distribution.batch_shape, distribution.event_shape) == (SHAPE, ())
        return distribution.sample(jax.random.key(0), (4,)), likelihood.mean(outputs)

    draws, mean = map(np.asarray, all_at_once(some_outputs(likelihood)))
    assert draws.shape == (4, *SHAPE)
    likelihood.check(draws, where="draws")
    assert mean.shape == SHAPE


def test_without_a_row_a_library_has_the_size_that_the_option_names():
    likelihood = Poisson(library=True, library_size=12.0)
    outputs = some_outputs(likelihood)
    expected = 12.0 * np.exp(log_softmax(np.asarray(outputs[0])))
    np.testing.assert_allclose(likelihood.mean(outputs), expected, rtol=1e-5)


@over_cases
@pytest.mark.usefixtures("float64")
def test_missing_cells_have_the_scale_that_the_observed_ones_tell(case: Case):
    """Of a library: the total of which the observed cells have their shares; of others nothing moves."""
    likelihood, x = made(case), some_x(case)
    outputs, mask = some_outputs(likelihood), np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3 > 0
    holes = jnp.where(mask, x, jnp.nan)
    mean = np.asarray(likelihood.of_row(outputs, holes, jnp.asarray(mask)).mean(outputs))
    plain = np.asarray(likelihood.mean(outputs))
    if not case.options.get("library"):
        np.testing.assert_array_equal(mean, plain)
        return
    known = np.asarray(likelihood.given(outputs, jnp.where(mask, x, 0), jnp.asarray(mask)).mean)
    np.testing.assert_allclose(mean[mask], known[mask], rtol=1e3 * EPS)
    np.testing.assert_allclose(mean / mean[mask].sum(), plain / plain[mask].sum(), rtol=1e3 * EPS)
    nothing = likelihood.of_row(outputs, jnp.full(SHAPE, jnp.nan), jnp.zeros(SHAPE, bool))
    np.testing.assert_allclose(nothing.mean(outputs), plain, rtol=1e3 * EPS)
    empty = likelihood.of_row(outputs, jnp.where(mask, 0, jnp.nan), jnp.asarray(mask))
    assert (np.asarray(empty.mean(outputs)) < 1e-30).all()


# --- cells that were not observed ---------------------------------------------------------------


@over_cases
@pytest.mark.usefixtures("float64")
def test_mask_removes_cells_exactly(case: Case):
    likelihood, x = made(case), some_x(case)
    outputs = some_outputs(likelihood)
    mask = jnp.array([[True, False, True], [False, True, True]])
    without = jax.tree.map(lambda a: a[..., mask] if a.shape[-2:] == SHAPE else a, likelihood)
    np.testing.assert_allclose(
        log_prob(likelihood, x, outputs, mask),
        log_prob(without, x[mask], outputs[:, mask]),
        rtol=100 * EPS,
    )
    everything = log_prob(likelihood, x, outputs, jnp.ones(SHAPE, bool))
    np.testing.assert_allclose(everything, log_prob(likelihood, x, outputs), rtol=100 * EPS)
    assert log_prob(likelihood, x, outputs, jnp.zeros(SHAPE, bool)) == 0.0


@over_cases
def test_a_row_without_an_observed_cell_says_nothing(case: Case):
    likelihood, x = made(case), some_x(case)
    value, gradient = value_and_gradient(
        likelihood, x, some_outputs(likelihood), jnp.zeros(SHAPE, bool)
    )
    for leaf in jax.tree.leaves((value, gradient)):
        np.testing.assert_array_equal(leaf, 0.0)


@over_cases
def test_nan_in_a_masked_cell_leaves_value_and_gradient_finite(case: Case):
    likelihood, x = made(case), some_x(case)
    outputs, mask = some_outputs(likelihood), jnp.ones(SHAPE, bool).at[0, 1].set(False)
    clean = value_and_gradient(likelihood, x, outputs, mask)
    dirty = value_and_gradient(likelihood, x.at[0, 1].set(jnp.nan), outputs, mask)
    for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_array_equal(a, b)


# --- precision ----------------------------------------------------------------------------------


@over_cases
def test_gradient_is_finite_at_extreme_outputs_in_float32(case: Case):
    likelihood = make_likelihood(case.name, shape=SHAPE, levels=LEVELS, **case.options)
    assert all(a.dtype == jnp.float32 for a in jax.tree.leaves(likelihood))
    x, shape = some_x(case), (likelihood.num_outputs, *SHAPE)
    rng = np.random.default_rng(0)
    for signs in (-np.ones(shape), np.ones(shape), *rng.choice([-1.0, 1.0], size=(3, *shape))):
        outputs = jnp.asarray(50.0 * signs, jnp.float32)
        result = value_and_gradient(likelihood, x, outputs, jnp.ones(SHAPE, bool))
        assert all(np.isfinite(a).all() for a in jax.tree.leaves(result))


@over_cases
def test_float32_agrees_with_scipy(case: Case):
    likelihood, x = made(case), some_x(case)
    outputs = some_outputs(likelihood)
    value, _ = value_and_gradient(likelihood, x, outputs, jnp.ones(SHAPE, bool))
    assert value.dtype == jnp.float32
    exact = jax.tree.map(lambda a: np.asarray(a, np.float64), (x, outputs, likelihood))
    cells = case.log_density(*exact)
    # A cell's terms are below a hundred nats each here, with a few roundings in each.
    assert abs(float(value) - cells.sum()) <= 100 * np.finfo(np.float32).eps * (
        np.abs(cells).sum() + cells.size
    )


@pytest.mark.usefixtures("float64")
def test_bernoulli_has_right_derivatives_at_zero():
    def of_logit(logit: Any) -> Any:
        return Bernoulli().log_prob(jnp.ones(1), logit[None, None])

    zero = jnp.zeros(())
    assert jax.jit(jax.grad(of_logit))(zero) == 0.5
    assert jax.jit(jax.grad(jax.grad(of_logit)))(zero) == -0.25


@pytest.mark.parametrize("size", [1, 13, 17, 48, 49])
def test_bernoulli_of_any_number_of_cells_agrees_with_scipy(size: int):
    rng = np.random.default_rng(size)
    logits = np.float32(rng.choice([0.0, 1.0, 30.0, 90.0], size) * rng.choice([-1.0, 1.0], size))
    x = (rng.random(size) < 0.5).astype(np.float32)
    log_prob_at = functools.partial(Bernoulli().log_prob, jnp.asarray(x))
    value, gradient = jax.jit(jax.value_and_grad(log_prob_at))(jnp.asarray(logits[None]))
    cells = log_expit(np.where(x == 1, 1, -1) * logits.astype(np.float64))
    # A rounding for each addition, of numbers no larger than the sum of the absolute logits.
    eps = np.finfo(np.float32).eps
    assert abs(float(value) - cells.sum()) <= (size + 4) * eps * (1 + np.abs(logits).sum())
    np.testing.assert_allclose(gradient[0], x - expit(logits.astype(np.float64)), atol=4 * eps)


def test_bernoulli_keeps_the_digits_of_cells_that_are_all_but_certain():
    value = Bernoulli().log_prob(jnp.zeros(784), jnp.full((1, 784), -20.0))
    exact = -784 * np.log1p(np.exp(-20.0))
    assert abs(float(value) - exact) <= 784 * np.finfo(np.float32).eps * abs(exact)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["gaussian", "student-t"])
def test_floor_bounds_the_density_of_a_constant_cell(name: str):
    likelihood = make_likelihood(name, shape=(1,), scale="datum", floor=0.01)
    value = likelihood.log_prob(jnp.zeros(1), jnp.array([[0.0], [-1e4]]))
    df = 2 + softplus(getattr(likelihood, "raw_df", 1e10))
    np.testing.assert_allclose(
        value, scipy.stats.t.logpdf(0.0, df, 0.0, 0.01) if name == "student-t" else
        scipy.stats.norm.logpdf(0.0, 0.0, 0.01), rtol=1e3 * EPS,
    )  # fmt: skip


@pytest.mark.usefixtures("float64")
def test_an_empty_row_of_a_library_is_certain():
    likelihood = Poisson(library=True)
    row = lambda outputs: likelihood.log_prob(jnp.zeros(3), outputs)  # noqa: E731
    value, gradient = jax.jit(jax.value_and_grad(row))(jnp.zeros((1, 3)))
    assert abs(value) <= 100 * EPS
    assert np.isfinite(gradient).all()


def test_categorical_takes_integers_and_whole_floats():
    likelihood, outputs = Categorical(levels=3), jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(
        likelihood.log_prob(jnp.array([2, 0]), outputs),
        likelihood.log_prob(jnp.array([2.0, 0.0]), outputs),
    )
