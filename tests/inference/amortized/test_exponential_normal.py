"""The exponential-normal model against quadrature, autodiff, optimisers and sampling."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from numpyro.distributions import Exponential
from scipy.integrate import quad
from scipy.stats import norm

from taut.bounds import ELBO, IWAE
from taut.core import Datum, InputError, Pair, particles
from taut.evidence import importance_sampling
from taut.gradients import Reparameterized
from taut.guides import ExponentialGuide
from taut.inference.amortized import joint
from taut.models import ExponentialNormal, joint_optimum

POINTS = [
    (x, t, p) for x in (-1.5, 0.0, 0.7, 3.0) for t in (0.2, 1.1, 4.0) for p in (0.3, 1.0, 5.0)
]
PATHS = ("scale", "inverse-cdf")


class ExactPosterior(eqx.Module):
    """The model's own posterior as a guide."""

    model: ExponentialNormal

    def __call__(self, datum):
        return self.model.posterior(datum)


def row(x) -> Datum:
    return Datum(jnp.asarray(x, float))


def log_joint(x, theta):
    return lambda z: math.log(theta) - theta * z - 0.5 * ((x - z) ** 2 + math.log(2 * math.pi))


def log_evidence(x, theta) -> float:
    """log p(x) by adaptive quadrature of the joint, scaled by its peak."""
    f = log_joint(x, theta)
    peak = max(x - theta, 0.0)
    # The integrand falls as exp(-slope z - z^2 / 2) beyond its peak.
    width = 12.0 if peak > 0 else min(12.0, 45.0 / max(theta - x, 1e-3))
    low = max(peak - width, 0.0)
    area, _ = quad(
        lambda z: math.exp(f(z) - f(peak)), low, peak + width, epsabs=0, epsrel=1e-13, limit=400
    )
    return math.log(area) + f(peak)


@pytest.fixture(scope="module")
def draws():
    """Values and gradients of single draws of each path at one point, in float64."""
    with jax.enable_x64(True):
        model = ExponentialNormal.at(0.8)
        keys = jax.random.split(jax.random.key(0), 40_000)

        def one(path, bound):
            def objective(parameters, key):
                guide = ExponentialGuide(parameters[1], path)
                return Reparameterized()(
                    bound, ExponentialNormal(parameters[0]), guide, row(1.3), key
                ).surrogate

            start = (model.log_theta, jnp.log(1.4))
            return jax.jit(jax.vmap(jax.value_and_grad(objective), in_axes=(None, 0)))(start, keys)

        return {
            (path, kl): jax.tree.map(np.asarray, one(path, ELBO(kl=kl)))
            for path, kl in (("scale", "sampled"), ("scale", "closed"), ("inverse-cdf", "sampled"))
        }


@pytest.mark.parametrize(
    "kind", [("scale", "sampled"), ("scale", "closed"), ("inverse-cdf", "sampled")]
)
def test_both_paths_sample_the_bound_and_its_gradients(kind, draws, float64):
    values, gradients = draws[kind]
    model, phi = ExponentialNormal.at(0.8), 1.4
    exact = model.elbo_gradients(row(1.3), phi)
    # The parameters are logarithms: d/d log theta = theta d/dtheta.
    for sample, known in (
        (values, model.elbo(row(1.3), phi)),
        (gradients[0], 0.8 * exact.theta),
        (gradients[1], phi * exact.phi),
    ):
        # The closed KL leaves no noise in the gradient of theta, only rounding.
        error = max(sample.std(ddof=1) / math.sqrt(sample.size), 1e-13)
        assert abs(sample.mean() - known) < 5 * error
        assert abs(sample.mean() - known - 0.15) > 5 * error  # planted


def test_elbo_is_the_expected_log_weight(float64):
    for x, theta, phi in POINTS:
        log_p = log_joint(x, theta)

        def integrand(z, phi=phi, log_p=log_p):
            log_q = math.log(phi) - phi * z
            return math.exp(log_q) * (log_p(z) - log_q)

        by_hand, _ = quad(integrand, 0, 45 / phi, epsabs=1e-12, epsrel=1e-12, limit=400)
        model = ExponentialNormal.at(theta)
        assert abs(float(model.elbo(row(x), phi)) - by_hand) < 1e-8


def test_gradients_are_those_of_autodiff(float64):
    for x, theta, phi in POINTS:

        def value(theta, phi, x=x):
            return ExponentialNormal(jnp.log(theta)).elbo(row(x), phi)

        by_autodiff = jax.grad(value, argnums=(0, 1))(theta, phi)
        found = ExponentialNormal.at(theta).elbo_gradients(row(x), phi)
        np.testing.assert_allclose(found, by_autodiff, rtol=1e-10, atol=1e-10)


def test_evidence_is_the_integral_of_the_joint(float64):
    found = jax.jit(lambda x, log_theta: ExponentialNormal(log_theta).log_evidence(row(x)))
    for x in (-300.0, -40.0, -3.0, 0.0, 0.5, 4.0, 60.0):
        for theta in (0.01, 0.9, 30.0, 1e4):
            known = log_evidence(x, theta)
            assert float(found(x, math.log(theta))) == pytest.approx(known, rel=1e-12, abs=1e-9)


def test_evidence_keeps_its_digits_where_the_textbook_form_loses_them(float64):
    """As theta grows z is pinned to zero: p(x) -> N(x; 0, 1), with relative error about x / theta."""
    theta, x = 1e9, 0.3
    found = float(ExponentialNormal.at(theta).log_evidence(row(x)))
    assert abs(found - norm.logpdf(x)) < 2 * x / theta
    textbook = math.log(theta) - theta * x + theta**2 / 2 + norm.logcdf(x - theta)
    assert abs(textbook - norm.logpdf(x)) > 1.0


def test_posterior_is_joint_over_evidence(float64):
    z = np.array([0.0, 1e-3, 0.4, 2.0, 7.0])
    for x, theta in ((0.7, 1.1), (-30.0, 2.0), (40.0, 0.5)):
        model = ExponentialNormal.at(theta)
        by_bayes = np.vectorize(log_joint(x, theta))(z) - log_evidence(x, theta)
        np.testing.assert_allclose(
            model.posterior(row(x)).log_prob(z), by_bayes, rtol=1e-12, atol=1e-9
        )
        assert float(model.posterior(row(x)).log_prob(-1e-9)) == -math.inf


@pytest.mark.parametrize("theta", [0.2, 1.1, 4.0])
@pytest.mark.parametrize("x", [-1.5, 0.7, 3.0])
def test_no_phi_closes_the_gap_which_is_the_divergence(x, theta, float64):
    model = ExponentialNormal.at(theta)
    rates = np.geomspace(1e-3, 1e3, 200)
    gaps = np.asarray(jax.jit(jax.vmap(lambda phi: model.gap(row(x), phi)))(rates))
    assert gaps.min() > 1e-12  # rounding
    log_p, log_normalizer = log_joint(x, theta), log_evidence(x, theta)
    for phi in (0.3, 1.0, 5.0):

        def integrand(z, phi=phi):
            log_q = math.log(phi) - phi * z
            return math.exp(log_q) * (log_q - log_p(z) + log_normalizer)

        divergence, _ = quad(integrand, 0, 45 / phi, epsabs=1e-11, limit=400)
        assert abs(float(model.gap(row(x), phi)) - divergence) < 1e-8


@pytest.mark.parametrize("theta", [0.05, 1.1, 8.0])
@pytest.mark.parametrize("x", [-4.0, 0.0, 0.7, 30.0, 1e6])
def test_best_phi_is_found_by_a_search(x, theta, float64):
    model = ExponentialNormal.at(theta)
    phi = float(model.best_phi(row(x)))

    def slope(log_phi):
        """Of the ELBO in log phi, times phi^2: the quadratic, written in the mean of q."""
        mean = math.exp(-log_phi)
        return 2 * mean - (x - theta) - 1 / mean

    root = scipy.optimize.brentq(
        slope, math.log(phi) - 5, math.log(phi) + 5, xtol=1e-15, rtol=1e-14
    )
    assert phi == pytest.approx(math.exp(root), rel=1e-12)
    at_best = float(model.elbo(row(x), phi))
    assert at_best > max(float(model.elbo(row(x), phi * f)) for f in (0.9, 1.1))


def test_joint_optimum_is_found_by_a_search(float64):
    for x in (0.3, 1.0, 4.0):

        def loss(logs, x=x):
            theta, phi = np.exp(logs)
            mean = 1 / phi
            fit = norm.logpdf(x, mean) - 0.5 * mean**2  # E (x - z)^2 = (x - mean)^2 + mean^2
            return -(fit - (theta * mean - 1 - math.log(theta * mean)))

        found = scipy.optimize.minimize(loss, np.zeros(2), tol=1e-12, method="BFGS")
        known = joint_optimum(x)
        np.testing.assert_allclose(np.exp(found.x), [known.theta, known.phi], rtol=1e-5)
        assert known.elbo == pytest.approx(-found.fun, abs=1e-9)
        model = ExponentialNormal.at(known.theta)
        assert known.elbo == pytest.approx(float(model.elbo(row(x), known.phi)), abs=1e-12)


def test_many_rows_share_one_optimum(float64):
    x = np.array([0.5, -1.0, 4.0])
    known = joint_optimum(x)
    assert known.theta == 2 / x.mean()
    at = [float(ExponentialNormal.at(known.theta).elbo(row(v), known.phi)) for v in x]
    assert known.elbo == pytest.approx(np.mean(at), abs=1e-12)


@pytest.mark.parametrize("x", [0.0, -2.0])
def test_without_an_optimum_the_supremum_is_said(x, float64):
    with pytest.raises(
        InputError, match=rf"{norm.logpdf(x):.6g} nats as theta = phi goes to inf.*Try"
    ):
        joint_optimum(x)
    along = [float(ExponentialNormal.at(t).elbo(row(x), t)) for t in (1.0, 10.0, 1e3, 1e6)]
    assert along == sorted(along)
    assert 0 < norm.logpdf(x) - along[-1] < 1e-5


def test_ascent_finds_the_joint_optimum(float64):
    """Plain stochastic ascent with a decreasing step, by the library's own path."""
    x = 1.6
    pair = Pair(ExponentialNormal.at(0.4), ExponentialGuide.at(3.0))
    steps = 1500
    algorithm = joint(
        pair,
        ELBO(num_draws=64),
        Reparameterized(),
        optax.adam(optax.cosine_decay_schedule(0.05, steps)),
        example=row(x),
        key=jax.random.key(0),
    )
    batch = Datum(jnp.full((1,), x))
    state = jax.jit(
        lambda s: jax.lax.fori_loop(0, steps, lambda _, s: algorithm.step(s, batch)[0], s)
    )(algorithm.init())
    fitted = algorithm.pair(state)
    known = joint_optimum(x)
    value = float(fitted.model.elbo(row(x), fitted.guide.phi))
    assert known.elbo - 1e-3 < value <= known.elbo


def test_the_exact_posterior_as_guide_has_constant_weights(float64):
    model = ExponentialNormal.at(0.8)
    pair = Pair(model, ExactPosterior(model))
    x = np.array([-6.0, -0.5, 0.9, 7.0])
    known = [log_evidence(v, 0.8) for v in x]
    found = importance_sampling(pair, Datum(x), key=jax.random.key(0), num_particles=20)
    np.testing.assert_allclose(found.log_evidence.values, known, atol=1e-9)
    np.testing.assert_allclose(found.elbo.values, known, atol=1e-9)

    @jax.jit
    def one(datum):
        minted = particles(model, pair.guide, pair.guide, datum, jax.random.key(1), 20)
        return minted.log_w, IWAE()(minted)

    log_w, bound = one(row(-6.0))
    assert np.ptp(log_w) < 1e-12
    assert float(bound) == pytest.approx(known[0], abs=1e-9)


def test_a_guide_outside_the_support_gets_no_weight(float64):
    terms = ExponentialNormal.at(0.8).terms(row(0.3), jnp.array(-0.1))
    assert float(terms["log_prior"]) == -math.inf
    slope = jax.grad(lambda z: ExponentialNormal.at(0.8).log_joint(row(0.3), z))(-0.1)
    assert np.isfinite(slope)


def test_the_two_paths_are_two_paths(float64):
    scale, quantile = (ExponentialGuide.at(2.0, path=path)(row(0.0)) for path in PATHS)
    assert isinstance(scale, Exponential)
    assert not isinstance(quantile, Exponential)
    u = np.array([1e-12, 0.3, 0.9])
    np.testing.assert_allclose(quantile.icdf(u), -np.log1p(-u) / 2.0, rtol=1e-14)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_rates_that_are_not_positive_are_refused(rate):
    with pytest.raises(InputError, match=r"theta: expected a positive, finite rate.*Try"):
        ExponentialNormal.at(rate)
    with pytest.raises(InputError, match="phi: expected a positive, finite rate"):
        ExponentialGuide.at(rate)


def test_other_bad_input_is_refused():
    with pytest.raises(InputError, match="x: expected finite observations"):
        joint_optimum(np.array([1.0, np.nan]))
    with pytest.raises(InputError, match="x: expected finite observations"):
        joint_optimum(np.zeros(0))


def test_an_unknown_path_is_refused(unchecked):
    with pytest.raises(InputError, match=r"path: .*scale, inverse-cdf.*Try scale"):
        ExponentialGuide(jnp.zeros(()), "implicit")
