"""Laws of the likelihoods, over every member of the registry."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from scipy.special import expit, log_expit, log_softmax

from taut.core import InputError
from taut.models.likelihoods import (
    LIKELIHOODS,
    AbstractLikelihood,
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Poisson,
    choose_likelihood,
    make_likelihood,
)

EPS = np.finfo(np.float64).eps
SHAPE = (2, 3)
LEVELS = 5
COUNTS = np.arange(3000.0)
GREYS = np.arange(LEVELS) / (LEVELS - 1)


class Case(NamedTuple):
    """A member with options.

    Attributes:
        name, options: arguments of `make_likelihood`.
        support: all values of a mass function (cut where the rest has no mass), or the ends of a
            density's interval.
        log_density: the log-density of each cell by scipy, given x, the outputs and the parameters
            that rows share.
    """

    name: str
    options: dict[str, Any]
    support: Any
    log_density: Callable[[np.ndarray, np.ndarray, AbstractLikelihood], np.ndarray]

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])


def softplus(raw: Any) -> np.ndarray:
    return np.logaddexp(np.asarray(raw, np.float64), 0)


def gaussian(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    raw = outputs[1] if likelihood.scale.raw is None else likelihood.scale.raw
    return scipy.stats.norm.logpdf(x, outputs[0], 1e-3 + softplus(raw))


def student_t(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    raw = outputs[1] if likelihood.scale.raw is None else likelihood.scale.raw
    df = 2 + softplus(likelihood.raw_df)
    return scipy.stats.t.logpdf(x, df, outputs[0], 1e-3 + softplus(raw))


def continuous_bernoulli(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    def integral(logit: float) -> float:
        return scipy.integrate.quad(lambda t: np.exp(logit * t), 0, 1, epsrel=1e-13)[0]

    return x * outputs[0] - np.log(np.vectorize(integral)(outputs[0]))


def discretized_logistic(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    loc, scale = (1 + outputs[0]) / 2, 1 / 16 / (LEVELS - 1) + softplus(outputs[1]) / 2
    logistic = scipy.stats.logistic(loc, scale)
    upper = np.where(x == 1, np.inf, x + 0.5 / (LEVELS - 1))
    lower = np.where(x == 0, -np.inf, x - 0.5 / (LEVELS - 1))
    return np.log(logistic.cdf(upper) - logistic.cdf(lower))


def categorical(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    logs = log_softmax(outputs, axis=0)
    return np.take_along_axis(logs, x.astype(int)[None], axis=0)[0]


def mean_of(x: np.ndarray, output: np.ndarray, likelihood: Any) -> np.ndarray:
    """The mean of counts, over the last axes of data where a library is asked for."""
    if not likelihood.log_mean.library:
        return np.exp(output)
    return x.sum() * np.exp(log_softmax(output))


def poisson(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    return scipy.stats.poisson.logpmf(x, mean_of(x, outputs[0], likelihood))


def negative_binomial(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    r = 1e-3 + softplus(likelihood.inverse_dispersion.raw)
    mean = mean_of(x, outputs[0], likelihood)
    return scipy.stats.nbinom.logpmf(x, r, r / (r + mean))


def inflated(base: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def log_density(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
        counted = log_expit(-outputs[1]) + base(x, outputs[:1], likelihood.base)
        return np.where(x == 0, np.logaddexp(log_expit(outputs[1]), counted), counted)

    return log_density


LINE = (-np.inf, np.inf)
CASES = [
    Case(
        "bernoulli",
        {},
        np.array([0.0, 1.0]),
        lambda x, o, _: scipy.stats.bernoulli.logpmf(x, expit(o[0])),
    ),
    Case("continuous-bernoulli", {}, (0.0, 1.0), continuous_bernoulli),
    Case("discretized-logistic", {}, GREYS, discretized_logistic),
    *(
        Case(name, {"scale": scale}, LINE, log_density)
        for name, log_density in [("gaussian", gaussian), ("student-t", student_t)]
        for scale in ("model", "dimension", "datum")
    ),
    Case("categorical", {}, np.arange(5.0), categorical),
    *(
        Case(name, options, COUNTS, log_density)
        for name, log_density in [
            ("poisson", poisson),
            ("negative-binomial", negative_binomial),
            ("zero-inflated-poisson", inflated(poisson)),
            ("zero-inflated-negative-binomial", inflated(negative_binomial)),
        ]
        for options in ({}, {"library": True, "library_size": 12.0})
    ),
]
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)


@jax.jit
def log_prob(likelihood: Any, x: Any, outputs: Any, mask: Any = None) -> Any:
    return likelihood.log_prob(x, outputs, mask)


@jax.jit
def value_and_gradient(likelihood: Any, x: Any, outputs: Any, mask: Any) -> Any:
    """With respect to the shared parameters and the outputs."""
    return jax.value_and_grad(lambda args: args[0].log_prob(x, args[1], mask))(
        (likelihood, outputs)
    )


@jax.jit
def cells_given(likelihood: Any, outputs: Any, row: Any, x: Any) -> Any:
    """log p(x | outputs, the row's total), and the mean."""
    given = likelihood.given(outputs, row)
    mean = given.mean if likelihood.options().get("library") else likelihood.mean(outputs)
    return given.log_prob(likelihood._values(x)), mean


def made(case: Case, shape: tuple[int, ...] = SHAPE) -> Any:
    """The member with its shared parameters moved off their first values."""
    likelihood = make_likelihood(case.name, shape=shape, levels=LEVELS, **case.options)
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda a: a + jnp.asarray(rng.normal(size=a.shape), a.dtype), likelihood)


def some_outputs(likelihood: Any, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(likelihood.num_outputs, *shape)))


def some_x(case: Case, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    if isinstance(case.support, np.ndarray):
        return jnp.asarray(rng.choice(case.support[:9], size=shape))
    low, high = np.clip(case.support, -3.0, 3.0)
    return jnp.asarray(rng.uniform(low, high, size=shape))


# --- the registry -------------------------------------------------------------------------------


def test_every_likelihood_is_in_the_registry_and_under_the_laws():
    classes, queue = set(), [AbstractLikelihood]
    while queue:
        for cls in queue.pop().__subclasses__():
            queue.append(cls)
            if not inspect.isabstract(cls) and cls.__module__.startswith("taut."):
                classes.add(cls)
    assert set(LIKELIHOODS.values()) == classes
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


# --- cells that were not observed ---------------------------------------------------------------


@over_cases
@pytest.mark.usefixtures("float64")
def test_mask_removes_cells_exactly(case: Case):
    likelihood, x = made(case), some_x(case)
    outputs = some_outputs(likelihood)
    mask = jnp.array([[True, False, True], [False, True, True]])
    without = jax.tree.map(lambda a: a[mask] if a.shape == SHAPE else a, likelihood)
    np.testing.assert_allclose(
        log_prob(likelihood, x, outputs, mask),
        log_prob(without, x[mask], outputs[:, mask]),
        rtol=100 * EPS,
    )
    everything = log_prob(likelihood, x, outputs, jnp.ones(SHAPE, bool))
    np.testing.assert_allclose(everything, log_prob(likelihood, x, outputs), rtol=100 * EPS)
    assert log_prob(likelihood, x, outputs, jnp.zeros(SHAPE, bool)) == 0.0


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
    value, gradient = jax.value_and_grad(log_prob_at)(jnp.asarray(logits[None]))
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


# --- check --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        (
            "bernoulli",
            0.25,
            "digits, row 1, cell 2: expected 0 or 1 in every cell of a Bernoulli, got 0.25. Try the "
            "likelihood discretized-logistic for grey levels, continuous-bernoulli for reals in "
            "[0, 1], or a binarization.",
        ),
        (
            "continuous-bernoulli",
            1.5,
            "digits, row 1, cell 2: expected a number in [0, 1] in every cell of a continuous "
            "Bernoulli, got 1.5. Try the likelihood gaussian for reals, or scaling the data to "
            "[0, 1].",
        ),
        (
            "discretized-logistic",
            0.3,
            "digits, row 1, cell 2: expected k/4 with k = 0..4 (5 levels), got 0.3. Try the number "
            "of levels that the data have, or the likelihood continuous-bernoulli for reals in "
            "[0, 1].",
        ),
        (
            "gaussian",
            np.inf,
            "digits, row 1, cell 2: expected a finite number in every cell, got inf. Try marking the "
            "cell as missing, or a transform of the column that keeps it finite.",
        ),
        ("student-t", -np.inf, "digits, row 1, cell 2: expected a finite number"),
        (
            "categorical",
            5.0,
            "digits, row 1, cell 2: expected a category code in 0..4, got 5. Try the number of "
            "levels that the data have, or the likelihood gaussian for reals and negative-binomial "
            "for counts.",
        ),
        (
            "poisson",
            -1.0,
            "digits, row 1, cell 2: expected a count 0, 1, 2, ... in every cell, got -1. Try the "
            "likelihood gaussian for reals, or counts before any normalization.",
        ),
        ("negative-binomial", 0.5, "digits, row 1, cell 2: expected a count"),
        ("zero-inflated-poisson", np.inf, "digits, row 1, cell 2: expected a count"),
        ("zero-inflated-negative-binomial", 2.5, "digits, row 1, cell 2: expected a count"),
    ],
)
def test_check_names_the_first_bad_cell(name: str, bad: float, message: str):
    likelihood = make_likelihood(name, shape=(3,), levels=LEVELS)
    good = np.array([[0.0, 1.0, np.nan], [1.0, 0.0, 1.0]])
    likelihood.check(good, where="digits")
    likelihood.check(good[1:].astype(int), where="digits")
    with pytest.raises(InputError) as caught:
        likelihood.check(
            np.vstack([good[:1], [[0.0, 1.0, bad]], [[bad, bad, bad]]]), where="digits"
        )
    assert str(caught.value).startswith(message)


def test_check_names_a_cell_of_an_image_and_a_scalar_row():
    image = np.zeros((2, 4, 4))
    image[1, 2, 3] = 0.5
    with pytest.raises(InputError, match=r"x, row 1, cell \(2, 3\): "):
        Bernoulli().check(image, where="x")
    with pytest.raises(InputError, match="x, row 1: "):
        Bernoulli().check(np.array([0.0, 7.0]), where="x")


# --- choices and messages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "support", "levels", "name", "reason"),
    [
        ("image", "binary", 2, "bernoulli", "pixels are 0 or 1"),
        ("image", "grey", 17, "discretized-logistic", "pixels are grey levels k/16, 17 of them"),
        ("image", "grey", 2, "bernoulli", "pixels are 0 or 1"),
        ("image", "grey", None, "continuous-bernoulli", "a Bernoulli would not be a density"),
        ("table", "unit", None, "continuous-bernoulli", "cells are reals in [0, 1]"),
        ("table", "count", None, "negative-binomial", "cells are counts"),
        ("table", "real", None, "gaussian", "cells are reals"),
        ("table", "categorical", 7, "categorical", "cells are one of 7 categories"),
    ],
)
def test_choice_and_its_reason(kind: str, support: str, levels: int | None, name: str, reason: str):
    chosen, because = choose_likelihood(kind=kind, support=support, levels=levels)
    assert chosen == name
    assert reason in because
    make_likelihood(chosen, shape=(2,), levels=levels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_likelihood("bernuli", shape=(2,)),
            "likelihood: expected the name of a likelihood, got 'bernuli'. Try 'bernoulli'.",
        ),
        (
            lambda: make_likelihood("gaussian", shape=(2,), scales="datum"),
            "likelihood gaussian: expected an option of the likelihood gaussian, got 'scales'. Try "
            "'scale'.",
        ),
        (
            lambda: make_likelihood("bernoulli", shape=(2,), floor=1.0),
            "likelihood bernoulli: expected an option of the likelihood bernoulli, got 'floor'. Try "
            "a likelihood that has it: discretized-logistic, gaussian, student-t, negative-binomial, "
            "zero-inflated-negative-binomial.",
        ),
        (
            lambda: make_likelihood("bernoulli", shape=(2,), sharpness=1.0),
            "likelihood bernoulli: expected an option of the likelihood bernoulli, got 'sharpness'. "
            "Try no option: it has none.",
        ),
        (
            lambda: make_likelihood("categorical", shape=(2,)),
            "likelihood categorical: expected the number of levels of a categorical cell, got none.",
        ),
        (
            lambda: choose_likelihood(kind="images", support="real", levels=None),
            "kind of data: expected image or table, got 'images'. Try 'image'.",
        ),
        (
            lambda: choose_likelihood(kind="image", support="gray", levels=None),
            "support of the data: expected a support in binary, grey, unit, count, real, "
            "categorical, got 'gray'. Try 'grey'.",
        ),
        (
            lambda: choose_likelihood(kind="table", support="categorical", levels=None),
            "levels: expected the number of categories, got none.",
        ),
        (
            lambda: Gaussian(shape=(2,), scale="row"),
            "scale: expected a scale per model, dimension, datum, got 'row'.",
        ),
        (
            lambda: Gaussian(shape=(2,), floor=0.0),
            "floor: expected a positive floor, got 0.0. Try floor=1e-3.",
        ),
        (
            lambda: DiscretizedLogistic(levels=1),
            "levels: expected at least 2 levels, got 1. Try levels=256.",
        ),
        (
            lambda: DiscretizedLogistic(levels=4, floor=-1.0),
            "floor: expected a positive floor, got -1.0.",
        ),
        (
            lambda: Categorical(levels=1),
            "levels: expected at least 2 levels, got 1. Try levels=2.",
        ),
        (
            lambda: Poisson(library=True, library_size=0.0),
            "library_size: expected a positive library size, got 0.0. Try 1e4.",
        ),
    ],
)
def test_messages(call: Callable[[], Any], message: str):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
