"""The path of the draws: its kinds, guides that need none, and the estimators that keep it alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from estimator_routes import (
    EXACT,
    Route,
    gaussian_route,
    gradient_of_expectation,
    largest_error,
    mean_gradient,
    table_route,
)
from known_models import (
    ConjugateGaussian,
    EnumeratedGuide,
    datum,
    normal_rule,
    trapezoid,
)
from planted_estimators import FrozenPath

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    AbstractProposal,
    Dirac,
    Draws,
    Enumerated,
    InputError,
    Pair,
    equal_mass,
    particles,
)
from taut.distributions import InverseCDF
from taut.gradients import (
    DoublyReparameterized,
    Evaluations,
    Reparameterized,
    StickingTheLanding,
)

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
    assert (
        largest_error(mean_gradient(Reparameterized(), bound, route), expected)
        < EXACT["quadrature"]
    )
    # Planted: the path stays where it is.
    frozen_gradient = mean_gradient(FrozenPath(), bound, route)
    assert largest_error(frozen_gradient.guide, expected.guide) > 1e3 * EXACT["quadrature"]


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
    assert message.endswith('Try gradient="score-function", or a Gaussian guide.')


# The path alone: sticking the landing and the doubly reparameterized gradient.


class BringsDensity(AbstractProposal):
    """A Normal whose draws bring log q along, at the parameters that drew them, as a flow's do."""

    normal: Any

    @property
    def reparameterized(self):
        return True

    def draw(self, key, num_particles):
        z = self.normal.sample(key, (num_particles,))
        return Draws(z, equal_mass(num_particles), jax.vmap(self.terms)(z))

    def terms(self, z):
        return {NEG_LOG_Q: -self.normal.log_prob(z)}


PATH_ALONE = [
    (StickingTheLanding(), ELBO(kl="sampled", num_draws=3)),
    (DoublyReparameterized(), IWAE(num_particles=3)),
    (DoublyReparameterized(), Renyi(alpha=0.5, num_particles=3)),
]


@pytest.mark.parametrize(("estimator", "bound"), PATH_ALONE)
def test_draws_that_bring_their_density_have_it_evaluated_again_at_stopped_parameters(
    estimator, bound, float64
):
    route = gaussian_route()

    @jax.jit
    def gradients(guide):
        def surrogate(guide, brings):
            q = (lambda row: BringsDensity(guide(row))) if brings else guide
            key = jax.random.key(0)
            return estimator(bound, route.pair.model, q, datum(route.x), key).surrogate

        return [jax.grad(surrogate)(guide, brings) for brings in (True, False)]

    flow, plain = gradients(route.pair.guide)
    assert largest_error(flow, plain) < 1e-15
    assert float(abs(plain.log_scale)) > 0.01
    q = BringsDensity(route.pair.guide(datum(route.x)))
    assert estimator.cost(bound) == Evaluations(model=3, guide=3)
    assert estimator.cost(bound, q) == Evaluations(model=3, guide=6)


def test_one_particle_makes_the_two_the_same(float64):
    """w~ = 1, and IWAE is the ELBO."""
    route, bound = gaussian_route(), IWAE(num_particles=1)
    stl, dreg = (
        mean_gradient(estimator, bound, route)
        for estimator in (StickingTheLanding(), DoublyReparameterized())
    )
    assert largest_error(stl, dreg) < 1e-14


def refusal(estimator, bound, q=None) -> str:
    route = gaussian_route()
    guide = route.pair.guide if q is None else lambda row: q
    with pytest.raises(InputError) as refused:
        estimator(bound, route.pair.model, guide, datum(0.8), jax.random.key(0))
    return str(refused.value)


@pytest.mark.parametrize("bound", [IWAE(num_particles=5), Renyi(num_particles=5)])
def test_sticking_the_landing_refuses_bounds_on_which_it_is_biased(bound):
    assert refusal(StickingTheLanding(), bound) == (
        "sticking the landing: expected the ELBO, whose dropped score has mean zero, got the bound "
        f'\'{bound.name}\' with 5 particles, on which it has not. Try gradient="dreg", or bound="elbo".'
    )


def test_sticking_the_landing_refuses_a_closed_kl():
    said = "sticking the landing: expected log q from the draws, which is what is differentiated "
    said += "without its score, got "
    assert refusal(StickingTheLanding(), ELBO(kl="closed")) == (
        said + 'a KL in closed form. Try kl="sampled".'
    )
    assert refusal(StickingTheLanding(), ELBO(free_bits=0.1)) == (
        said + "free bits of a KL in closed form. Try free_bits=0."
    )


def test_sticking_the_landing_reports_the_closed_kl_and_differentiates_the_draws(float64):
    route = gaussian_route()

    @jax.jit
    def made(guide):
        def surrogate(guide, kl):
            found = StickingTheLanding()(
                ELBO(kl=kl, num_draws=2), route.pair.model, guide, datum(route.x), jax.random.key(0)
            )
            return found.surrogate, found.value

        return [jax.value_and_grad(surrogate, has_aux=True)(guide, k) for k in ("auto", "sampled")]

    ((_, closed), of_auto), ((_, sampled), of_sampled) = made(route.pair.guide)
    assert largest_error(of_auto, of_sampled) < 1e-15
    q = route.pair.guide(datum(route.x))
    minted = particles(
        route.pair.model, lambda _: q, lambda _: q, datum(route.x), jax.random.key(0), 2
    )
    assert float(closed) == pytest.approx(float(ELBO(num_draws=2)(minted)), rel=1e-12)
    assert abs(float(closed) - float(sampled)) > 1e-3


def test_sticking_the_landing_takes_what_has_no_closed_kl(float64):
    """A model without a rule for its KL: `auto` is then sampled."""
    pair = Pair(PoissonRate(jnp.array(0.2)), ExponentialGuide(jnp.array(-0.7)))

    def gradient(bound):
        def surrogate(guide):
            made = StickingTheLanding()(bound, pair.model, guide, datum(3), jax.random.key(0))
            return made.surrogate

        return jax.jit(jax.grad(surrogate))(pair.guide)

    assert gradient(ELBO()) == gradient(ELBO(kl="sampled"))


def test_the_doubly_reparameterized_gradient_refuses_a_warm_up():
    assert refusal(DoublyReparameterized(), IWAE(warmup_steps=9)) == (
        "doubly reparameterized gradient: expected an IWAE bound whose KL has its full weight from "
        'the first step, got a warm-up of 9 steps. Try gradient="reparameterized", '
        'gradient="score-function", or leaving out `kl_warmup_steps`.'
    )


def test_the_doubly_reparameterized_gradient_refuses_an_average():
    assert refusal(DoublyReparameterized(), ELBO(kl="sampled")) == (
        "doubly reparameterized gradient: expected the bound iwae or renyi, whose weights depend on "
        'the draws, got the bound \'elbo\'. Try gradient="stl", or bound="iwae".'
    )


@pytest.mark.parametrize(
    ("estimator", "bound", "instead"),
    [
        (StickingTheLanding(), ELBO(kl="sampled"), "rloo"),
        (DoublyReparameterized(), IWAE(), "vimco"),
    ],
)
def test_guides_that_have_no_path_apart_from_their_density_are_refused(estimator, bound, instead):
    assert refusal(estimator, bound, dist.Bernoulli(probs=0.3)) == (
        "gradient: expected a guide whose draws are differentiable in its parameters, got a "
        f'BernoulliProbs guide, whose draws are not. Try gradient="{instead}", or a Gaussian guide.'
    )
    for q in (Dirac(jnp.zeros(()), jnp.zeros(())), Enumerated(jnp.arange(2), jnp.zeros(2))):
        assert refusal(estimator, bound, q) == (
            "gradient: expected a guide that draws z at random from a density, got "
            f"{type(q).__name__}, which does not. "
            'Try gradient="reparameterized", which is exact for it.'
        )
