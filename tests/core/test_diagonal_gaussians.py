"""Laws of log-densities under many Gaussians of independent dimensions, and of what averages them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from taut.core import NEG_LOG_Q, MixtureProposal, gaussian_log_densities
from taut.core.diagonal_gaussians import _LOST, diagonal_gaussian
from taut.core.discrete_proposals import BernoulliProposal
from taut.core.proposals import DistributionProposal
from taut.models.priors import MixtureOfGaussians

POINTS, MEMBERS, DIM = 7, 5, 3


def plain(z, means, scales):
    return dist.Normal(means, scales).to_event(1).log_prob(z)


def arguments(offset: float = 0.0, scale: float = 0.5):
    rng = np.random.default_rng(0)
    means = offset + rng.normal(size=(MEMBERS, DIM))
    scales = scale * (1 + rng.random((MEMBERS, DIM)))
    z = means[rng.integers(MEMBERS, size=POINTS)] + scale * rng.normal(size=(POINTS, DIM))
    return jnp.asarray(z), jnp.asarray(means), jnp.asarray(scales)


def averaged(density):
    def log_mixture(z, means, scales):
        each = jax.vmap(lambda at: jax.nn.logsumexp(density(at, means, scales)))(z)
        return jnp.mean(each)

    return log_mixture


@pytest.mark.usefixtures("float64")
def test_values_gradients_and_second_derivatives_are_those_of_the_sum_of_squares():
    given = arguments()
    for of in (
        lambda f: jax.vmap(f, (0, None, None)),
        lambda f: jax.grad(averaged(f), (0, 1, 2)),
        lambda f: jax.hessian(averaged(f), (0, 1, 2)),
    ):
        found, wanted = (jax.jit(of(f))(*given) for f in (gaussian_log_densities, plain))
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("scale", [0.5, 0.03, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_gradients_in_float32_are_those_of_the_numbers_that_it_holds(offset: float, scale: float):
    single = [a.astype(jnp.float32) for a in arguments(offset, scale)]
    found = jax.jit(jax.grad(averaged(gaussian_log_densities), (0, 1, 2)))(*single)
    with jax.enable_x64(True):
        exact = [jnp.asarray(np.asarray(a, np.float64)) for a in single]
        wanted = jax.jit(jax.grad(averaged(plain), (0, 1, 2)))(*exact)
    for one, other in zip(found, wanted, strict=True):
        # Three products make a term, of which each may lose so much.
        limit = 3 * _LOST * np.max(np.abs(other))
        np.testing.assert_allclose(np.asarray(one, np.float64), other, rtol=0, atol=limit)


def of_a_prior():
    prior = MixtureOfGaussians(DIM, MEMBERS, key=jax.random.key(0))
    return prior, lambda prior, z: prior().log_prob(z)


def of_a_proposal():
    _, means, scales = arguments()
    q = MixtureProposal(
        lambda at: dist.Normal(*at).to_event(1),
        (means, scales),
        jnp.full(MEMBERS, -jnp.log(1.0 * MEMBERS)),
    )
    return q, lambda q, z: -q.terms(z)[NEG_LOG_Q]


@pytest.mark.parametrize("make", [of_a_prior, of_a_proposal])
def test_the_way_back_of_a_mixture_holds_no_array_of_points_members_and_dimensions(make):
    """Its sums over them would take most of a training step."""
    model, log_density = make()
    z = arguments()[0].astype(jnp.float32)
    parameters, static = eqx.partition(model, eqx.is_inexact_array)

    def mean(parameters, z):
        whole = eqx.combine(parameters, static)
        return jnp.mean(jax.vmap(lambda at: log_density(whole, at))(z))

    value, back = jax.vjp(mean, parameters, z)
    largest = max(
        variable.aval.size
        for equation in jax.make_jaxpr(back)(value).eqns
        for variable in (*equation.invars, *equation.outvars)
    )
    assert largest < POINTS * MEMBERS * DIM


@pytest.mark.parametrize(
    "q",
    [
        DistributionProposal(dist.Normal(jnp.zeros(2), 1.0)),
        DistributionProposal(dist.StudentT(3.0, jnp.zeros(2), 1.0).to_event(1)),
        DistributionProposal(dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))),
        DistributionProposal(dist.Normal(jnp.zeros((2, 2)), 1.0).to_event(2)),
        BernoulliProposal(jnp.zeros(2)),
    ],
)
def test_what_is_no_such_gaussian_is_not_taken_for_one(q):
    assert diagonal_gaussian(q) is None
