"""Laws of the leaf distributions that NumPyro lacks."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.special

import taut.distributions
from taut.core import InputError
from taut.distributions import ContinuousBernoulli, DiscretizedLogistic, InverseCDF, grid
from taut.distributions.inverse_cdf import open_uniform

EPS = np.finfo(np.float64).eps

# Name -> parameters (one batch) and the constructor; InverseCDF over two kinds of support.
MEMBERS: dict[str, tuple[tuple[np.ndarray, ...], Callable[..., Any]]] = {
    "ContinuousBernoulli": ((np.array([-30.0, -0.2, 0.0, 3.0]),), ContinuousBernoulli),
    "DiscretizedLogistic": (
        (np.array([0.3, 0.5, -0.2, 1.1]), np.log([0.1, 0.02, 0.5, 0.3])),
        lambda loc, log_scale: DiscretizedLogistic(loc, log_scale, levels=17),
    ),
    "InverseCDF of Exponential": (
        (np.array([0.3, 1.0, 2.0, 5.0]),),
        lambda rate: InverseCDF(dist.Exponential(rate)),
    ),
    "InverseCDF of Normal": (
        (np.array([0.3, 1.0, 2.0, 5.0]), np.array([1.0, 2.0, 0.3, 0.1])),
        lambda loc, scale: InverseCDF(dist.Normal(loc, scale)),
    ),
}
over_members = pytest.mark.parametrize("name", MEMBERS)
LOGITS = [-40.0, -3.0, -0.5001, -0.4999, -0.1001, -0.0999, -1e-6, 0.0, 1e-9, 0.05, 0.3, 2.0, 20.0]


def member(name: str) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    args, make = MEMBERS[name]
    return jax.tree.map(jnp.asarray, args), make


# --- valid NumPyro distributions ----------------------------------------------------------------


def test_every_distribution_is_under_the_laws():
    classes = {
        name
        for name, value in vars(taut.distributions).items()
        if inspect.isclass(value) and issubclass(value, dist.Distribution)
    }
    assert classes == {name.split()[0] for name in MEMBERS}


@over_members
@pytest.mark.usefixtures("float64")
def test_is_a_pytree_and_batches(name: str):
    args, make = member(name)
    batched = make(*args)
    assert (batched.batch_shape, batched.event_shape) == ((4,), ())

    @jax.jit
    def three_ways(d: Any, args: Any) -> Any:
        """log_prob of the distribution as an argument, rebuilt from its leaves, and mapped over."""
        x = d.sample(jax.random.key(0), (5,))
        again = jax.tree.unflatten(*jax.tree.flatten(d)[::-1])
        one = lambda x, *a: make(*a).log_prob(x)  # noqa: E731
        mapped = jax.vmap(jax.vmap(one), in_axes=(0, *(None for _ in args)))(x, *args)
        return x, d.support(x), (d.log_prob(x), again.log_prob(x), mapped)

    x, inside, (expected, again, mapped) = three_ways(batched, args)
    assert x.shape == expected.shape == (5, 4)
    assert np.all(inside)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_allclose(mapped, expected, rtol=100 * EPS, atol=100 * EPS)
    constant = jax.jit(lambda x: make(*args).log_prob(x))(x)
    np.testing.assert_allclose(constant, expected, rtol=100 * EPS, atol=100 * EPS)


@over_members
@pytest.mark.usefixtures("float64")
def test_moments_are_those_of_its_draws(name: str):
    args, make = member(name)

    @jax.jit
    def draws_and_moments(*args: Any) -> Any:
        d = make(*args)
        return d.sample(jax.random.key(1), (20_000,)), d.mean, d.variance

    x, mean, variance = map(np.asarray, draws_and_moments(*args))
    errors = x.std(axis=0) / np.sqrt(len(x))
    assert np.all(np.abs(x.mean(axis=0) - mean) < 5 * errors)
    squares = (x - mean) ** 2
    square_errors = squares.std(axis=0) / np.sqrt(len(x))
    assert np.all(np.abs(squares.mean(axis=0) - variance) < 5 * square_errors)
    # Planted: the moments of the neighbour's parameters.
    _, planted, _ = draws_and_moments(*(jnp.roll(a, 1) for a in args))
    assert np.all(np.abs(x.mean(axis=0) - planted) > 5 * errors)


@pytest.mark.usefixtures("float64")
def test_works_as_a_site_of_a_program_with_validation():
    def program() -> None:
        numpyro.sample("x", ContinuousBernoulli(jnp.array([0.5])).to_event(1))
        numpyro.sample("k", DiscretizedLogistic(0.2, -1.0, levels=5))

    trace = numpyro.handlers.trace(numpyro.handlers.seed(program, 0)).get_trace()
    assert trace["x"]["value"].shape == (1,)
    with pytest.raises(ValueError, match="invalid logits"):
        ContinuousBernoulli(jnp.nan, validate_args=True)
    with pytest.warns(UserWarning, match="Out-of-support"):
        assert ContinuousBernoulli(0.5).log_prob(jnp.array(1.5)) == -jnp.inf


# --- continuous Bernoulli -----------------------------------------------------------------------


def density(logit: float) -> Callable[[Any], Any]:
    """The density without the library: e^(l x) over its integral."""
    shift = max(logit, 0.0)
    total = scipy.integrate.quad(lambda x: np.exp(logit * x - shift), 0, 1, epsabs=0)[0]
    return lambda x: np.exp(logit * x - shift) / total


def expectation(
    logit: float, f: Callable[[float], float], high: float = 1.0
) -> tuple[float, float]:
    p = density(logit)
    return scipy.integrate.quad(lambda x: f(x) * p(x), 0, high, epsabs=1e-13, epsrel=1e-12)


@pytest.mark.usefixtures("float64")
def test_continuous_bernoulli_equals_quadrature():
    x = np.array([0.0, 0.2, 0.9, 1.0])[:, None]

    @jax.jit
    def all_at_once(logits: Any) -> Any:
        d = ContinuousBernoulli(logits)
        return jnp.exp(d.log_prob(x)), d.cdf(x), d.mean, d.variance, d.entropy()

    probs, cdfs, *moments = (np.asarray(a) for a in all_at_once(jnp.array(LOGITS)))
    for i, logit in enumerate(LOGITS):
        p = density(logit)
        np.testing.assert_allclose(probs[:, i], p(x[:, 0]), rtol=1e-12)
        expected = [expectation(logit, lambda t: 1.0, high)[0] for high in x[:, 0]]
        np.testing.assert_allclose(cdfs[:, i], expected, rtol=1e-11, atol=1e-15)
        # Mean and variance are the first and second derivatives of the log-normalizer, here on both
        # sides of its series.
        mean, mean_error = expectation(logit, lambda t: t)
        variance, variance_error = expectation(logit, lambda t, mean=mean: (t - mean) ** 2)
        entropy, entropy_error = expectation(logit, lambda t, p=p: -np.log(p(t)))
        for moment, value, error in zip(
            moments,
            (mean, variance, entropy),
            (mean_error, variance_error, entropy_error),
            strict=True,
        ):
            assert abs(moment[i] - value) <= error + 1e3 * EPS * (1 + abs(logit))


@pytest.mark.usefixtures("float64")
def test_continuous_bernoulli_quantiles_and_their_gradient():
    def quantile(logit: Any, q: Any) -> Any:
        return ContinuousBernoulli(logit).icdf(q)

    slope_of = jax.grad(quantile)
    over_both = jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(quantile), (None, 0)), (0, None)))
    over_logits = jax.jit(jax.vmap(slope_of, (0, None)))
    logits, q = jnp.array(LOGITS), jnp.array([0.01, 0.3, 0.8])
    x, slope = over_both(logits, q)
    np.testing.assert_allclose(
        jax.jit(lambda logit, x: ContinuousBernoulli(logit[:, None]).cdf(x))(logits, x),
        np.broadcast_to(q, x.shape),
        rtol=1e-12,
    )
    for i, logit in enumerate(LOGITS):
        mean = expectation(logit, lambda t: t)[0]
        for j in range(len(q)):
            # dx/dl = -(dF/dl) / p, with dF/dl = integral to x of (t - mean) p(t) for this family.
            moved = expectation(logit, lambda t, mean=mean: t - mean, float(x[i, j]))[0]
            expected = -moved / density(logit)(float(x[i, j]))
            # `moved` is asked for to 1e-12 and cancels to a thousandth of its terms.
            np.testing.assert_allclose(slope[i, j], expected, rtol=1e-9)
    curvature = jax.jit(jax.vmap(jax.grad(slope_of), (0, None)))(logits, 0.3)
    below, above = (over_logits(logits + h, 0.3) for h in (-1e-4, 1e-4))
    # Central differences: truncation near h^2, rounding near eps / h, both below 1e-7.
    np.testing.assert_allclose(curvature, (above - below) / 2e-4, atol=1e-7)


def test_continuous_bernoulli_is_finite_in_float32():
    logits = jnp.array([-200.0, -50.0, -1e-8, 0.0, 1e-8, 50.0, 200.0], jnp.float32)
    x = jnp.array([0.0, 0.5, 1.0])[:, None]
    log_prob = jax.jit(jax.grad(lambda logit: jnp.sum(ContinuousBernoulli(logit).log_prob(x))))
    assert np.isfinite(log_prob(logits)).all()
    q = jnp.array([0.0, 1e-7, 0.5, 1.0])[:, None]
    quantile = jax.vmap(
        jax.value_and_grad(lambda logit, q: ContinuousBernoulli(logit).icdf(q)), (0, None)
    )
    x, slope = jax.jit(jax.vmap(quantile, (None, 0)))(logits, q[:, 0])
    assert np.all((x >= 0) & (x <= 1))
    assert np.isfinite(slope).all()


def test_continuous_bernoulli_draws_are_differentiable():
    """d/dl E[x] = Var[x]."""

    def draws(logit: Any) -> Any:
        return ContinuousBernoulli(logit).sample(jax.random.key(0), (20_000,))

    slopes = jax.jit(jax.jacfwd(draws))(jnp.array(1.5))
    slopes = np.asarray(slopes, np.float64)
    error = slopes.std() / np.sqrt(slopes.size)
    assert abs(slopes.mean() - float(ContinuousBernoulli(1.5).variance)) < 5 * error
    assert abs(slopes.mean() - float(ContinuousBernoulli(2.5).variance)) > 5 * error


# --- discretized logistic -----------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.usefixtures("float64")
def test_discretized_logistic_sums_to_one_with_its_moments(levels: int):
    loc = jnp.linspace(-3.0, 4.0, 15)[:, None]
    log_scale = jnp.array([-12.0, -4.0, -1.0, 0.0, 5.0])

    @jax.jit
    def all_at_once():
        d = DiscretizedLogistic(loc, log_scale, levels=levels)
        x = d.enumerate_support()
        return x, jnp.exp(d.log_prob(x)), d.mean, d.variance

    x, mass, own_mean, own_variance = map(np.asarray, all_at_once())
    np.testing.assert_allclose(mass.sum(0), 1.0, rtol=levels * 8 * EPS)
    mean = (mass * x).sum(0)
    np.testing.assert_allclose(own_mean, mean, atol=levels * 8 * EPS)
    variance = (mass * (x - mean) ** 2).sum(0)
    np.testing.assert_allclose(own_variance, variance, atol=levels * 8 * EPS)


@pytest.mark.usefixtures("float64")
def test_discretized_logistic_equals_the_difference_of_distribution_functions():
    loc, scale, levels = 0.4, 0.15, 9
    d = DiscretizedLogistic(loc, np.log(scale), levels=levels)
    edges = (np.arange(levels + 1) - 0.5) / (levels - 1)
    edges[0], edges[-1] = -np.inf, np.inf
    expected = np.diff(scipy.special.expit((edges - loc) / scale))
    np.testing.assert_allclose(np.exp(d.log_prob(d.enumerate_support())), expected, rtol=100 * EPS)
    # Planted: without the tails in the edge bins it is not a mass function.
    edges[0], edges[-1] = -0.5 / (levels - 1), 1 + 0.5 / (levels - 1)
    assert np.diff(scipy.special.expit((edges - loc) / scale)).sum() < 0.99


@pytest.mark.parametrize("x", [0.0, 128 / 255, 1.0])
def test_discretized_logistic_is_finite_far_out_in_float32(x: float):
    def total(args: tuple[Any, Any]) -> Any:
        return jnp.sum(DiscretizedLogistic(*args, levels=256).log_prob(jnp.float32(x)))

    loc, log_scale = jnp.meshgrid(
        jnp.array([-50.0, -1.0, 0.5, 2.0, 50.0]), jnp.linspace(-10, 50, 7)
    )
    value, gradient = jax.jit(jax.value_and_grad(total))((loc, log_scale))
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradient)


def test_discretized_logistic_has_no_mass_off_the_grid():
    d = DiscretizedLogistic(0.5, 0.0, levels=5, validate_args=False)
    assert np.all(np.isinf(d.log_prob(jnp.array([-0.25, 0.1, 0.374, 1.25, jnp.nan]))))
    codes = jnp.arange(65536, dtype=jnp.float32)
    assert np.all(grid(65536)(codes / 65535))
    assert np.all(grid(65536)(np.asarray(codes) / np.float32(65535)))
    assert grid(5) == grid(5)
    assert grid(5) != grid(6)
    leaves, structure = jax.tree.flatten(grid(5))
    assert jax.tree.unflatten(structure, leaves) == grid(5)
    np.testing.assert_array_equal(grid(5).feasible_like(jnp.ones(3)), 0.0)


# --- inverse distribution function --------------------------------------------------------------


@pytest.mark.usefixtures("float64")
def test_inverse_cdf_keeps_the_wrapped_density():
    base = dist.Laplace(jnp.array([0.0, 1.0]), 2.0)
    d = InverseCDF(base)
    x = jnp.array([0.3, -4.0])
    np.testing.assert_array_equal(d.log_prob(x), base.log_prob(x))
    np.testing.assert_array_equal(d.cdf(x), base.cdf(x))
    np.testing.assert_allclose(d.icdf(d.cdf(x)), x, rtol=100 * EPS)
    np.testing.assert_array_equal(d.entropy(), base.entropy())
    assert d.has_rsample
    assert d.support is base.support


def test_inverse_cdf_arranges_batch_and_event_like_the_wrapped_distribution():
    base = dist.Gumbel(jnp.zeros((2, 3)), 1.0).to_event(1)
    assert InverseCDF(base).sample(jax.random.key(0), (4,)).shape == (4, 2, 3)
    expanded = InverseCDF(dist.Logistic(0.0, 1.0).expand((5,)).to_event(1))
    x = expanded.sample(jax.random.key(0))
    assert x.shape == (5,)
    assert len(np.unique(x)) == 5
    assert expanded.log_prob(x).shape == ()


@pytest.mark.parametrize(
    ("make", "moment"),
    [
        # E[x^2] and its derivative, known in closed form.
        (lambda t: dist.Exponential(t), lambda t: 2 / t**2),
        (lambda t: dist.Normal(t, 1.0), lambda t: t**2 + 1),
        (lambda t: dist.Laplace(0.0, t), lambda t: 2 * t**2),
        (lambda t: dist.LogNormal(0.0, t), lambda t: jnp.exp(2 * t**2)),
        (lambda t: dist.Uniform(0.0, t), lambda t: t**2 / 3),
    ],
    ids=["exponential", "normal", "laplace", "log-normal", "uniform"],
)
def test_inverse_cdf_gradients_are_unbiased(make: Callable[..., Any], moment: Callable[..., Any]):
    def squares(t: Any) -> Any:
        return InverseCDF(make(t)).sample(jax.random.key(2), (20_000,)) ** 2

    t = jnp.array(0.4)
    slopes = jax.jit(jax.jacfwd(squares))(t)
    slopes = np.asarray(slopes, np.float64)
    error = slopes.std() / np.sqrt(slopes.size)
    expected = float(jax.grad(moment)(t))
    # The second term is the rounding of one float32 derivative, relative to the largest of them.
    tolerance = 5 * error + np.finfo(np.float32).eps * np.abs(slopes).max()
    assert abs(slopes.mean() - expected) < tolerance
    assert abs(slopes.mean() - 1.2 * expected) > tolerance


def test_open_uniform_never_touches_the_ends():
    key, shape = jax.random.key(4), (2**20,)
    assert jax.random.uniform(key, shape).min() == 0.0
    u = open_uniform(key, shape)
    assert u.dtype == jnp.float32
    assert u.min() > 0.0
    assert u.max() < 1.0
    assert np.isfinite(dist.Normal(0.0, 1.0).icdf(jnp.array([u.min(), u.max()]))).all()


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: DiscretizedLogistic(0.0, 0.0, levels=1),
            "levels: expected at least 2 levels, got 1. Try levels=256",
        ),
        (
            lambda: InverseCDF(dist.VonMises(0.0, 1.0)),
            "InverseCDF: expected a univariate distribution with a quantile function, got VonMises",
        ),
        (
            lambda: InverseCDF(dist.Gamma(1.0, 1.0)),
            "InverseCDF: expected .* quantile function, got Gamma, which has none. Try another family",
        ),
        (
            lambda: InverseCDF(dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))),
            "InverseCDF: expected a univariate distribution with a quantile function",
        ),
        (
            lambda: InverseCDF(dist.DiscreteUniform(0, 3)),
            "InverseCDF: expected a continuous distribution, got DiscreteUniform",
        ),
    ],
)
def test_messages(call: Callable[[], Any], message: str):
    with pytest.raises(InputError, match=message):
        call()
