"""The KL of a flow is that of the Gaussian beside it and what the flow adds:

    KL(q to p) = KL(q_0 to p) + E[log q(z) - log p(z) - log q_0(z_0) + log p(z_0)]

z_0 ~ q_0 being of the noise of z ~ q. What `control` adds to a log-weight is of mean zero.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import gauss_hermite, grid, trapezoid

from taut.bounds import ELBO
from taut.core import LOG_PRIOR, NEG_LOG_Q, Datum, Pair, particles, total
from taut.evidence import importance_sampling
from taut.guides import AtFeatures, make_family
from taut.models import LatentVariableModel, MixtureOfGaussians
from taut.models.likelihoods import make_likelihood
from taut.models.priors import FixedPrior
from taut.networks import MLP
from taut.transforms import Transformed

pytestmark = pytest.mark.usefixtures("float64")
DIM = 2
LOC, SCALE = np.array([0.2, -0.5]), np.array([1.1, 0.7])
X = np.array([0.3, -1.2, 0.4])


def row():
    return Datum(jnp.asarray(X))


def gaussian():
    return dist.Normal(jnp.asarray(LOC), jnp.asarray(SCALE)).to_event(1)


class FedNormal(dist.Normal):
    """Draws at the nodes of a rule for N(0, 1)."""

    loc: Any
    nodes: np.ndarray

    def sample(self, key, sample_shape=()) -> Any:
        return self.loc + self.scale * self.nodes


def model(prior=None):
    likelihood = make_likelihood("gaussian", shape=(3,))
    decoder = MLP(DIM, (), 3, key=jax.random.key(2))
    return LatentVariableModel(prior or FixedPrior(gaussian()), decoder, likelihood, (3,))


def guide(layers: str, away: float = 0.3) -> AtFeatures:
    """A flow away from rest."""
    family = eqx.filter_jit(make_family)(layers, DIM, hidden=(8,), key=jax.random.key(0))
    rng = np.random.default_rng(1)
    features = jnp.asarray(0.4 * rng.normal(size=family.num_features))
    return jax.tree.map(
        lambda a: jnp.asarray(np.asarray(a) + away * rng.normal(size=a.shape), a.dtype)
        if eqx.is_inexact_array(a) else a,
        AtFeatures(features, family),
    )  # fmt: skip


def fed(q: Transformed, nodes: np.ndarray) -> Transformed:
    base = FedNormal(q.base.base_dist.loc, q.base.base_dist.scale)
    base.nodes = nodes
    return Transformed(base.to_event(1), q.chain, q.condition)


@pytest.mark.parametrize(
    "layers", ["planar:2", "radial,reverse,sylvester", "iaf:2,affine-coupling"]
)
def test_its_mean_is_zero_whatever_the_parameters(layers):
    """It is a polynomial of the noise, which the rule of Gauss and Hermite integrates exactly; so it
    moves no gradient's mean either."""
    nodes, weights = grid(*gauss_hermite(6), DIM)

    def mean(live, static):
        made = eqx.combine(live, static)
        q = lambda datum: fed(made(datum), nodes)  # noqa: E731
        minted = particles(model(), q, q, row(), jax.random.key(0), len(nodes))
        return weights @ minted.control, minted.control

    live, static = eqx.partition(guide(layers), eqx.is_inexact_array)
    (value, each), slope = jax.jit(jax.value_and_grad(lambda a: mean(a, static), has_aux=True))(
        live
    )
    assert np.std(each) > 0.1
    assert abs(value) < 1e-12
    for leaf in jax.tree.leaves(slope):
        np.testing.assert_allclose(leaf, 0, atol=1e-12)


def test_the_sum_is_the_kl_by_quadrature():
    """Of q and p on a grid of z, where the density of q takes the inverse of the layers."""
    made = guide("planar,sylvester", away=0.2)
    nodes, weights = grid(*trapezoid(-8, 8, 0.1), DIM)
    weights = weights * np.exp(-0.5 * np.sum(nodes**2, axis=1)) / (2 * np.pi)
    q = lambda datum: fed(made(datum), nodes)  # noqa: E731
    minted = jax.jit(lambda: particles(model(), q, q, row(), jax.random.key(0), len(nodes)))()
    minted = eqx.tree_at(lambda p: p.log_mass, minted, jnp.log(jnp.asarray(weights)))
    _, kl = ELBO().parts(minted)

    z, dz = grid(*trapezoid(-9, 9, 0.06), DIM)
    log_q = -np.asarray(jax.jit(jax.vmap(lambda at: total(made(row()).terms(at))))(z))
    wanted = dz @ (np.exp(log_q) * (log_q - np.asarray(gaussian().log_prob(z))))
    np.testing.assert_allclose(np.sum(kl), wanted, rtol=1e-7)


def test_a_prior_without_a_rule_leaves_the_draws_alone():
    q = guide("planar")
    prior = MixtureOfGaussians(DIM, 3, key=jax.random.key(1))
    minted = jax.jit(lambda: particles(model(prior), q, q, row(), jax.random.key(0), 4))()
    assert minted.control is None
    sampled = -np.mean(minted.terms[LOG_PRIOR] + minted.terms[NEG_LOG_Q])
    np.testing.assert_allclose(ELBO().parts(minted)[1][0], sampled)


def test_it_sharpens_the_elbo_and_the_kl_and_leaves_the_evidence():
    """Beside the same draws under a prior that has no rule, a mixture of one component."""
    plain, key = guide("planar:2", away=0.1), jax.random.key(3)
    rows = Datum(jnp.asarray(np.stack([X, -X])))
    one = dist.MixtureSameFamily(
        dist.Categorical(logits=jnp.zeros(1)),
        dist.Normal(jnp.asarray(LOC[None]), jnp.asarray(SCALE[None])).to_event(1),
    )
    ours, sampled = (
        importance_sampling(
            Pair(model(FixedPrior(prior)), plain), rows, key=key, num_particles=4000
        )
        for prior in (gaussian(), one)
    )
    here, there = (np.asarray(found.log_evidence.values) for found in (ours, sampled))
    np.testing.assert_allclose(here, there, rtol=1e-12)
    for name, less in (("elbo", 1.0), ("kl", 0.6)):
        found, noisy = getattr(ours, name), getattr(sampled, name)
        assert found.side == noisy.side == {"elbo": "lower", "kl": "unbiased"}[name]
        assert 0 < found.mc_error < less * noisy.mc_error
        assert 0 < abs(found.value - noisy.value) < 5 * noisy.mc_error
