"""The normal on the positive half-line, in both of its tails."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, truncnorm

from taut.distributions.positive_normal import PositiveNormal, log_mills, mills_excess

# t = -loc / scale, on both sides of every change of formula.
BELOW = np.array([-40.0, -6.0, -1.0, 0.0, 0.4, 3.0, 4.999, 5.001, 20.0, 1e3])


def moments(t):
    """log R(t), and mean, variance and entropy in standard units, by quadrature over y >= 0.

    exp(-t y - y^2 / 2) integrates to R(t); its peak is divided out where t < 0.
    """
    peak = max(-t, 0.0)
    low, high = max(peak - 14.0, 0.0), peak + min(14.0, 45.0 / max(t, 1e-9))

    def log_density(y):
        return -t * (y - peak) - 0.5 * (y**2 - peak**2)

    def integral(f):
        return quad(
            lambda y: math.exp(log_density(y)) * f(y), low, high,
            points=[peak] if peak > 0 else None, epsabs=0, epsrel=1e-12, limit=400,
        )[0]  # fmt: skip

    area = integral(lambda y: 1.0)
    first = integral(lambda y: y) / area
    second = integral(lambda y: (y - first) ** 2) / area
    entropy = math.log(area) - integral(log_density) / area
    return math.log(area) + 0.5 * peak**2, first, second, entropy


def test_moments_and_density_agree_with_quadrature(float64):
    scale = 0.7
    log_ratio, first, second, entropy = np.array([moments(t) for t in BELOW]).T
    y = np.array([[0.0], [0.3], [1.7]]) * first

    @jax.jit
    def found(t):
        q = PositiveNormal(-t * scale, scale)
        return log_mills(t), q.mean, q.variance, q.entropy(), q.log_prob(scale * y)

    ratio, mean, variance, spread, log_prob = found(BELOW)
    np.testing.assert_allclose(ratio, log_ratio, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(mean, scale * first, rtol=1e-10)
    np.testing.assert_allclose(variance, scale**2 * second, rtol=1e-9)
    np.testing.assert_allclose(spread, entropy + math.log(scale), atol=1e-10)
    by_hand = -BELOW * y - 0.5 * y**2 - log_ratio - math.log(scale)
    np.testing.assert_allclose(log_prob, by_hand, rtol=1e-10, atol=1e-10)


def test_agrees_with_scipy_where_scipy_can(float64):
    loc, scale = np.array([-2.0, 0.0, 1.5]), np.array([0.5, 1.0, 2.0])
    p = truncnorm(-loc / scale, np.inf, loc, scale)
    u = np.array([[1e-6], [0.2], [0.7], [1 - 1e-6]])

    @jax.jit
    def found(x):
        q = PositiveNormal(loc, scale)
        return q.icdf(u), q.cdf(x), q.log_prob(x), q.variance, q.log_prob(-1e-3)

    quantiles, cdf, log_prob, variance, outside = found(p.ppf(u))
    np.testing.assert_allclose(quantiles, p.ppf(u), rtol=1e-6)
    np.testing.assert_allclose(cdf, np.broadcast_to(u, (4, 3)), rtol=1e-8)
    np.testing.assert_allclose(log_prob, p.logpdf(p.ppf(u)), rtol=1e-9)
    np.testing.assert_allclose(variance, p.var(), rtol=1e-9)
    assert (np.asarray(outside) == -np.inf).all()


def test_quantiles_invert_the_survival_function(float64):
    u = np.array([[1e-10], [1e-3], [0.3], [0.9]])

    @jax.jit
    def survival(t):
        q = PositiveNormal(-t)
        return q.log_survival(q.icdf(1.0 - u))

    wanted = np.broadcast_to(np.log1p(-(1.0 - u)), (4, BELOW.size))
    np.testing.assert_allclose(survival(BELOW), wanted, rtol=1e-9)


def test_draws_follow_the_distribution(float64):
    """Kolmogorov and Smirnov at p = 1e-6, about five standard errors; a planted stretch is caught."""
    loc, scale = np.array([-9.0, 0.5]), np.array([1.0, 2.0])
    sample = jax.jit(lambda key: PositiveNormal(loc, scale).sample(key, (20_000,)))
    draws = np.asarray(sample(jax.random.key(0)))
    for j in range(2):
        cdf = truncnorm(-loc[j] / scale[j], np.inf, loc[j], scale[j]).cdf
        assert kstest(draws[:, j], cdf).pvalue > 1e-6
        assert kstest(draws[:, j] * 1.05, cdf).pvalue < 1e-6


def test_draws_are_differentiable_to_second_order(float64):
    """Against central differences, whose error in the second order is about h^2 + eps / h^2."""
    h = 1e-3

    quantile = jax.jit(lambda loc, scale: PositiveNormal(loc, scale).icdf(0.4))
    t = np.array([-3.0, 0.4, 4.0, 6.0, 25.0])

    @jax.jit
    def slopes(by_loc, by_scale):
        """First and second derivatives along a direction, at every t."""

        def along(f):
            return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))

        def moved(x):
            return quantile(-t + by_loc * x, 1.0 + by_scale * x)

        (_, first), (_, second) = along(along(moved))(jnp.zeros_like(t))
        return first, second

    # One program for both directions, and one for every place around.
    first, second = jax.vmap(slopes)(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    signs = np.array([-h, 0.0, h])[:, None]
    loc = np.concatenate([-t + signs, -t + 0 * signs])
    scale = np.concatenate([1.0 + 0 * signs, 1.0 + signs]) + 0 * t
    behind, here, ahead = np.moveaxis(np.asarray(quantile(loc, scale)).reshape(2, 3, -1), 1, 0)
    np.testing.assert_allclose(first, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-8)
    curvature = (ahead - 2 * here + behind)[0] / h**2
    np.testing.assert_allclose(second[0], curvature, rtol=1e-5, atol=1e-8)


def test_log_mills_falls_with_the_excess_as_its_slope(float64):
    h = 1e-4

    @jax.jit
    def found(t):
        difference = (log_mills(t + h) - log_mills(t - h)) / (2 * h)
        return jax.vmap(jax.grad(log_mills))(t), difference, mills_excess(t)

    slope, difference, excess = found(BELOW)
    np.testing.assert_allclose(slope, -excess, rtol=1e-14)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_gradients_stay_finite_outside_the_support(float64):
    slope = jax.jit(jax.grad(lambda loc: PositiveNormal(loc).log_prob(jnp.minimum(loc, -1.0))))(
        -2.0
    )
    assert np.isfinite(slope)


@pytest.mark.parametrize("t", [0.0, 5.0])
def test_slopes_where_two_forms_meet_are_those_beside(float64, t: float):
    def found(t):
        q = PositiveNormal(-t, 1.0)
        return jnp.stack([q.log_prob(0.7), q.entropy(), q.log_survival(0.7), q.mean])

    slope = jax.jit(jax.jacfwd(found))
    np.testing.assert_allclose(slope(t), 0.5 * (slope(t - 1e-5) + slope(t + 1e-5)), atol=1e-9)
