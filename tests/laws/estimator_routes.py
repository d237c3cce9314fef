"""Two ways to the gradient of an expected objective, for the laws of the estimators.

The surrogate's gradient is averaged over the noise, which the test feeds to the guide. The objective's
expectation is an integral over z at nodes that do not move with the parameters, weighed by the guide's
density; its gradient is taken there, without a path.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
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

from taut.bounds import ELBO, IWAE, AbstractBound, Renyi
from taut.core import Pair, frozen, particles
from taut.gradients import AbstractEstimator

# How far the two ways may part: sums over outcomes are rounded off, integrals are also cut off.
EXACT = {"enumeration": 1e-10, "quadrature": 1e-8, "piecewise": 1e-8}

# Instances of each bound that an estimator may claim. Integrals are over at most two draws.
INSTANCES: dict[tuple[str, str], tuple[AbstractBound, ...]] = {
    ("elbo", "quadrature"): (
        ELBO(kl="sampled"),
        ELBO(kl="closed"),
        ELBO(kl="sampled", num_draws=2),
        ELBO(beta=0.5, warmup_steps=4),
    ),
    ("iwae", "quadrature"): (IWAE(num_particles=2),),
    ("renyi", "quadrature"): tuple(Renyi(alpha, num_particles=2) for alpha in (-1.0, 0.5, 2.0)),
    ("elbo", "enumeration"): (
        ELBO(kl="sampled"),
        ELBO(kl="sampled", num_draws=2, beta=0.5, warmup_steps=4),
        ELBO(kl="closed", num_draws=3, beta=0.7),
        ELBO(num_draws=2, free_bits=0.05),
    ),
    ("iwae", "enumeration"): (IWAE(num_particles=2), IWAE(num_particles=3)),
    ("renyi", "enumeration"): (
        Renyi(alpha=-1.0, num_particles=2),
        Renyi(alpha=0.5, num_particles=3),
        Renyi(alpha=1.0, num_particles=2),
    ),
}


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


def moved_state(estimator: AbstractEstimator, route: Route) -> Any:
    """A state of the estimator in which nothing is at its start, where much is zero."""
    start = estimator.init(jax.random.key(1), datum(route.x), route.pair.guide)
    return jax.tree.map(lambda a: a + 0.6 if eqx.is_inexact_array(a) else a, start)


def mean_gradient(
    estimator: AbstractEstimator, bound: AbstractBound, route: Route, *, aux: Any = None
) -> Pair:
    """The gradient of the surrogate, averaged over the noise of all draws; in a moved state if None."""
    nodes, weights = map(jnp.asarray, grid(*route.noise, bound.minted))
    aux = moved_state(estimator, route) if aux is None else aux

    def surrogate(pair, noise):
        guide = FedGuide(pair.guide, noise, route.path)
        key = jax.random.key(0)
        return estimator(bound, pair.model, guide, datum(route.x), key, step=1, aux=aux).surrogate

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


@functools.cache
def expected_gradient(bound: AbstractBound, shown_by: str) -> Pair:
    """The gradient of the objective's expectation on a route of `ROUTES`; within float64 only."""
    return gradient_of_expectation(bound, ROUTES[shown_by]())
