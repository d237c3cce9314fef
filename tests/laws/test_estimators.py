"""Registry x law: the mean gradient of every surrogate is the gradient of the expected objective.

The surrogate's gradient is averaged over the noise, which the test feeds to the guide. The objective's
expectation is an integral over z at nodes that do not move with the parameters, weighed by the guide's
density; its gradient is taken there, without a path.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    FedGuide,
    NormalGuide,
    TableModel,
    datum,
    given,
    grid,
    location_scale,
    normal_rule,
    trapezoid,
)
from registered import concrete_subclasses

import taut.gradients
from taut.bounds import ELBO, IWAE, AbstractBound, Renyi
from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    Dirac,
    InputError,
    Pair,
    frozen,
    particles,
)
from taut.distributions import InverseCDF
from taut.gradients import ESTIMATORS, AbstractEstimator, Claim, Reparameterized, Surrogate

EXACT = 1e-8

# For each bound that an estimator may claim, instances of at most two draws.
BOUND_INSTANCES: dict[str, tuple[AbstractBound, ...]] = {
    "elbo": (
        ELBO(kl="sampled"),
        ELBO(kl="closed"),
        ELBO(kl="sampled", num_draws=2),
        ELBO(beta=0.5, warmup_steps=4),
    ),
    "iwae": (IWAE(num_particles=2),),
    "renyi": tuple(Renyi(alpha=alpha, num_particles=2) for alpha in (-1.0, 0.5, 2.0)),
}
CLAIMS = [(cls, claim) for cls in ESTIMATORS.values() for claim in cls.claims]


def test_every_estimator_is_registered_under_its_name():
    assert concrete_subclasses(AbstractEstimator, taut.gradients) == set(ESTIMATORS.values())
    assert all(cls.name == name for name, cls in ESTIMATORS.items())


def test_every_estimator_claims_something():
    assert all(cls.claims for cls in ESTIMATORS.values())


class Route(NamedTuple):
    """A pair for one datum, with one rule for its noise and one for its latent.

    Attributes:
        pair: model and guide.
        x: the datum.
        path: from the guide's distribution and the noise to z.
        noise: nodes and weights that average over the noise of one draw.
        z: nodes and weights that sum or integrate over z.
    """

    pair: Any
    x: Any
    path: Any
    noise: tuple[np.ndarray, np.ndarray]
    z: tuple[np.ndarray, np.ndarray]


def mean_gradient(estimator: AbstractEstimator, bound: AbstractBound, route: Route) -> Pair:
    """The gradient of the surrogate, averaged over the noise of all draws."""
    nodes, weights = map(jnp.asarray, grid(*route.noise, bound.minted))

    def surrogate(pair, noise):
        guide = FedGuide(pair.guide, noise, route.path)
        key = jax.random.key(0)
        return estimator(bound, pair.model, guide, datum(route.x), key, step=1).surrogate

    def average(pair):
        return weights @ jax.vmap(surrogate, in_axes=(None, 0))(pair, nodes)

    return jax.jit(jax.grad(average))(route.pair)


def gradient_of_expectation(bound: AbstractBound, route: Route) -> Pair:
    """The gradient of the objective's expectation, as an integral over fixed z."""
    nodes, weights = map(jnp.asarray, grid(*route.z, bound.minted))

    def objective_and_density(pair, z):
        draws = FedGuide(frozen(pair.guide), z, given)
        row = datum(route.x)
        made = particles(pair.model, draws, pair.guide, row, jax.random.key(0), bound.minted)
        return bound.objective(made, 1), jnp.exp(jnp.sum(made.log_q))

    def expectation(pair):
        objective, density = jax.vmap(objective_and_density, in_axes=(None, 0))(pair, nodes)
        return weights @ (density * objective)

    return jax.jit(jax.grad(expectation))(route.pair)


def largest_error(gradient: Any, expected: Any) -> float:
    errors = jax.tree.map(lambda g, e: np.max(np.abs(g - e)), gradient, expected)
    return float(max(jax.tree.leaves(errors)))


def gaussian_route() -> Route:
    """A Gaussian latent and guide; the noise is Gaussian."""
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    guide = NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.5))
    x = 0.8
    q = guide(datum(x))
    nodes, weights = trapezoid(-7.5, 7.5, 0.15)
    on_z = (float(q.loc) + float(q.scale) * nodes, float(q.scale) * weights)
    return Route(Pair(model, guide), x, location_scale, normal_rule(0.15, 7.5), on_z)


def table_route() -> Route:
    """A latent of three outcomes; the draws are enumerated with the probabilities of the guide."""
    model = TableModel(
        jnp.array([0.2, -0.5, 0.4]), jnp.array([[0.3, -1.2], [1.5, 0.1], [-0.7, 0.9]])
    )
    logits = jnp.array([0.8, -0.1, 0.3])
    outcomes = np.arange(3)
    noise = (outcomes, scipy.special.softmax(logits))
    return Route(Pair(model, CategoricalGuide(logits)), 1, given, noise, (outcomes, np.ones(3)))


ROUTES = {"quadrature": gaussian_route, "enumeration": table_route}


@pytest.mark.parametrize(
    ("estimator", "claim"), CLAIMS, ids=[f"{e.name}-{c.bound}-{c.shown_by}" for e, c in CLAIMS]
)
def test_the_mean_gradient_is_the_gradient_of_the_expectation(estimator, claim, float64):
    route, served = ROUTES[claim.shown_by](), 0
    for bound in BOUND_INSTANCES[claim.bound]:
        try:
            gradient = mean_gradient(estimator(), bound, route)
        except InputError:
            continue  # a variant that the estimator refuses with a reason
        served += 1
        expected = gradient_of_expectation(bound, route)
        if claim.model == "unbiased":
            assert largest_error(gradient.model, expected.model) < EXACT, bound
        if claim.guide == "unbiased":
            assert largest_error(gradient.guide, expected.guide) < EXACT, bound
    assert served


class DropsLogQ(AbstractEstimator):
    """Planted: the density of the guide is left out of the log-weights."""

    name: ClassVar[str] = "drops_log_q"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, guide, datum, key, bound.minted)
        kept = {name: t for name, t in made.terms.items() if name != NEG_LOG_Q}
        without = eqx.tree_at(lambda p: p.terms, made, kept)
        return Surrogate(bound(made), bound.objective(without, step))


class WrongFactor(AbstractEstimator):
    """Planted: the surrogate is a thousandth too large."""

    name: ClassVar[str] = "wrong_factor"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, guide, guide, datum, key, bound.minted)
        return Surrogate(bound(made), 1.001 * bound.objective(made, step))


class FrozenPath(AbstractEstimator):
    """Planted: only the integrand is differentiated."""

    name: ClassVar[str] = "frozen_path"
    claims: ClassVar[tuple[Claim, ...]] = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        made = particles(model, frozen(guide), guide, datum, key, bound.minted)
        return Surrogate(bound(made), bound.objective(made, step))


@pytest.mark.parametrize("bound", [ELBO(kl="sampled"), IWAE(num_particles=2)])
def test_a_mistaken_estimator_is_caught(bound, float64):
    route = gaussian_route()
    expected = gradient_of_expectation(bound, route)
    for mistake in (DropsLogQ(), WrongFactor(), FrozenPath()):
        gradient = mean_gradient(mistake, bound, route)
        assert largest_error(gradient.guide, expected.guide) > 1e3 * EXACT, mistake


@pytest.mark.parametrize("estimator", ESTIMATORS.values())
def test_the_reported_value_is_the_bound_and_not_the_objective(estimator, float64):
    route, bound = gaussian_route(), ELBO(beta=0.3, kl="sampled")
    guide = FedGuide(route.pair.guide, jnp.array([0.7]), location_scale)

    @jax.jit
    def both(key):
        made = particles(route.pair.model, guide, guide, datum(route.x), key, 1)
        result = estimator()(bound, route.pair.model, guide, datum(route.x), key)
        return result.value, bound(made), bound.objective(made, 0)

    reported, value, objective = both(jax.random.key(0))
    np.testing.assert_allclose(reported, value, rtol=1e-14)
    assert abs(float(reported - objective)) > 0.01


# Three kinds of path, by quadrature in their uniform noise u = Phi(t).


class PoissonRate(AbstractModel):
    """z ~ Exponential(prior_rate), x | z ~ Poisson(z)."""

    log_prior_rate: Any

    def terms(self, datum, z):
        prior = dist.Exponential(jnp.exp(self.log_prior_rate))
        return {LOG_LIKELIHOOD: dist.Poisson(z).log_prob(datum.x), LOG_PRIOR: prior.log_prob(z)}


class ExponentialGuide(eqx.Module):
    log_rate: Any

    def __call__(self, datum):
        return InverseCDF(dist.Exponential(jnp.exp(self.log_rate)))


class GammaGuide(eqx.Module):
    log_concentration: Any
    log_rate: Any

    def __call__(self, datum):
        return dist.Gamma(jnp.exp(self.log_concentration), jnp.exp(self.log_rate))


@jax.custom_jvp
def implicit_gamma(concentration, standard_draw):
    """The draw itself, with the derivative that JAX gives to draws from a gamma distribution."""
    return standard_draw


@implicit_gamma.defjvp
def _implicit_gamma_jvp(primals, tangents):
    concentration, draw = primals
    slope = jax.lax.random_gamma_grad(concentration, draw)  # pyright: ignore[reportCallIssue]
    return draw, slope * tangents[0]


def uniform_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an average over u ~ Uniform(0, 1), crowded towards both ends.

    Beyond |t| = 8 there is 1e-15 of the mass, and 1 - u is rounded off.
    """
    t, weights = normal_rule(0.05, 8.0)
    return scipy.stats.norm.cdf(t), weights


def positive_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an integral over z > 0, through z = exp(s)."""
    s, weights = trapezoid(-45.0, 5.5, 0.02)
    return np.exp(s), weights * np.exp(s)


def normal_in_uniform() -> Route:
    def path(q, u):
        return q.loc + q.scale * jax.scipy.special.ndtri(u)

    return gaussian_route()._replace(path=path, noise=uniform_rule())


def inverse_cdf_in_uniform() -> Route:
    pair = Pair(PoissonRate(jnp.array(0.2)), ExponentialGuide(jnp.array(-0.7)))
    return Route(pair, 3, lambda q, u: q.icdf(u), uniform_rule(), positive_rule())


def implicit_in_uniform() -> Route:
    guide = GammaGuide(jnp.array(0.9), jnp.array(0.3))
    concentration = float(jnp.exp(guide.log_concentration))
    u, weights = uniform_rule()
    t = scipy.stats.norm.ppf(u)
    standard = np.where(
        t < 0,
        scipy.special.gammaincinv(concentration, scipy.stats.norm.cdf(t)),
        scipy.special.gammainccinv(concentration, scipy.stats.norm.sf(t)),
    )

    def path(q, standard):
        return implicit_gamma(q.concentration, standard) / q.rate

    pair = Pair(PoissonRate(jnp.array(0.2)), guide)
    return Route(pair, 3, path, (standard, weights), positive_rule())


@pytest.mark.parametrize("make", [normal_in_uniform, inverse_cdf_in_uniform, implicit_in_uniform])
def test_each_kind_of_path_is_unbiased(make, float64):
    route, bound = make(), ELBO(kl="sampled")
    expected = gradient_of_expectation(bound, route)
    assert largest_error(mean_gradient(Reparameterized(), bound, route), expected) < EXACT
    # Planted: the path stays where it is.
    frozen_gradient = mean_gradient(FrozenPath(), bound, route)
    assert largest_error(frozen_gradient.guide, expected.guide) > 1e3 * EXACT


def test_numpyro_differentiates_a_gamma_draw_implicitly(float64):
    """dz/da = -(dF/da) / q(z), with dF/da as the integral of the score up to z."""
    concentration = 2.3

    def draw(a):
        return dist.Gamma(a, 1.0).sample(jax.random.key(0), (5,))

    draws, slopes = jax.jit(lambda a: jax.jvp(draw, (a,), (1.0,)))(concentration)
    gamma: Any = scipy.stats.gamma(concentration)
    digamma = scipy.special.digamma(concentration)
    for z, slope in zip(np.asarray(draws), np.asarray(slopes), strict=True):
        d_cdf, _ = scipy.integrate.quad(
            lambda t: gamma.pdf(t) * (np.log(t) - digamma), 0.0, z, epsabs=1e-13
        )
        np.testing.assert_allclose(slope, -d_cdf / gamma.pdf(z), rtol=1e-8)


# Guides that need no path.


def test_enumerated_draws_carry_the_gradient_in_their_masses(float64):
    """Against the gradients of the sum over outcomes, written with softmax derivatives by hand."""
    route = table_route()
    model, logits = route.pair.model, np.asarray(route.pair.guide.logits)

    def surrogate(guide, bound):
        key = jax.random.key(0)
        return Reparameterized()(bound, model, guide, datum(1), key).surrogate

    q = scipy.special.softmax(logits)
    log_w = model.log_joint_table()[:, 1] - np.log(q)
    guide = EnumeratedGuide(jnp.asarray(logits))
    of = jax.jit(jax.grad(surrogate), static_argnums=1)
    gradient = of(guide, ELBO(kl="sampled")).logits
    np.testing.assert_allclose(gradient, q * (log_w - q @ log_w), atol=1e-14)
    evidence_gradient = of(guide, IWAE()).logits  # log p(x) knows no guide
    np.testing.assert_allclose(evidence_gradient, np.zeros(3), atol=1e-14)


def test_a_dirac_guide_is_differentiated_through_its_volume(float64):
    class Base(AbstractModel):
        def terms(self, datum, z):
            return {LOG_PRIOR: dist.Normal(0.0, 1.0).log_prob(z)}

    class Affine(eqx.Module):
        log_scale: Any

        def __call__(self, datum):
            return Dirac(jnp.exp(self.log_scale) * datum.x, self.log_scale)

    def surrogate(guide):
        return Reparameterized()(IWAE(), Base(), guide, datum(1.5), jax.random.key(0)).surrogate

    # log N(s x) + log s has the derivative 1 - (s x)^2 in log s.
    gradient = jax.jit(jax.grad(surrogate))(Affine(jnp.array(0.4))).log_scale
    np.testing.assert_allclose(gradient, 1.0 - (np.exp(0.4) * 1.5) ** 2, rtol=1e-14)


@pytest.mark.parametrize(
    ("q", "family"),
    [
        (lambda: dist.Poisson(2.0), "Poisson"),
        (lambda: dist.Bernoulli(probs=0.3), "Bernoulli"),
        (lambda: dist.Bernoulli(logits=jnp.zeros(4)).to_event(1), "Bernoulli"),
        (lambda: dist.Categorical(logits=jnp.zeros(3)), "Categorical"),
        (
            lambda: dist.MixtureSameFamily(
                dist.Categorical(logits=jnp.zeros(2)), dist.Normal(jnp.zeros(2), 1.0)
            ),
            "MixtureSameFamily",
        ),
    ],
)
def test_a_guide_without_a_path_is_refused(q, family):
    model = ConjugateGaussian(1.0, 0.0, 0.0)
    with pytest.raises(InputError) as refusal:
        Reparameterized()(ELBO(), model, lambda datum: q(), datum(0.3), jax.random.key(0))
    message = str(refusal.value)
    assert message.startswith("gradient: expected a guide whose draws are differentiable")
    assert f"got a {family}" in message
    assert message.endswith(
        "Try a Gaussian guide, an enumerated one, or a score-function estimator."
    )
