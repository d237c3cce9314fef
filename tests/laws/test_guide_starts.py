"""Law of guides: whatever the family, the first q(z | x) is the mean-field Gaussian's, and can move."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.architectures import VAE
from taut.bounds import ELBO
from taut.core import NEG_LOG_Q, Datum, as_proposal, particles
from taut.data import Schema
from taut.guides import FAMILIES, check_family, make_family
from taut.transforms import SPEC_NAMES

DIM = 3
SCHEMA = Schema(name="reals", kind="table", shape=(4,), support="real")
ROW = Datum(jnp.array([0.3, -1.2, 2.0, 0.1]))
EXACT = [
    *(name for name in FAMILIES if name != "low-rank"),
    *SPEC_NAMES,
    "lu,iaf:2,spline-maf",
]


def pair(guide: str, network: str = "mlp"):
    architecture = VAE(latent_dim=DIM, hidden=(6,), network=network, guide=guide, guide_hidden=(5,))
    return architecture.init(SCHEMA, jax.random.key(2))


@eqx.filter_jit
def log_q(guide, z):
    return -jax.vmap(lambda at: jnp.sum(as_proposal(guide(ROW)).terms(at)[NEG_LOG_Q]))(z)


def kl_and_slope(pair, live, static):
    """KL of one draw under `kl=auto`, and its slope in the encoder's first weights."""

    def kl(weight):
        q = eqx.combine(eqx.tree_at(first_weights, live, weight), static)
        minted = particles(pair.model, q, q, ROW, jax.random.key(3), 1)
        return jnp.sum(ELBO().parts(minted)[1])

    return jax.value_and_grad(kl)(first_weights(live))


def first_weights(guide):
    return guide.encoder.layers[0].weight


@functools.cache
def gaussian_kl_and_slope():
    """Within float64 only."""
    plain = pair("mean-field")
    return kl_and_slope(plain, *eqx.partition(plain.guide, eqx.is_inexact_array))


@pytest.mark.parametrize("guide", EXACT)
@pytest.mark.usefixtures("float64")
def test_every_guide_starts_as_the_mean_field_one_and_can_leave_it(guide):
    """Log-densities at any z, hence log-weights: q of a flow through its inverse.

    Some parameter of the family, or of the encoder's columns behind mean and scale, moves the ELBO. One
    draw has the KL to the prior, and its slope in the encoder below them, as the closed form has.
    """
    z = jnp.asarray(np.random.default_rng(0).normal(size=(5, DIM)))
    made, plain = pair(guide), pair("mean-field")
    live, static = eqx.partition(made.guide, eqx.is_inexact_array)

    def elbo(live):
        q = eqx.combine(live, static)
        minted = particles(made.model, q, q, ROW, jax.random.key(3), 2)
        return ELBO(kl="sampled")(minted), (log_q(q, z), minted.z, minted.log_q)

    def both(live):
        return jax.value_and_grad(elbo, has_aux=True)(live), kl_and_slope(made, live, static)

    ((_, (found, drawn, brought)), slope), told = jax.jit(both)(live)
    for own, closed in zip(told, gaussian_kl_and_slope(), strict=True):
        np.testing.assert_allclose(own, closed, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, log_q(plain.guide, z), rtol=1e-9)
    np.testing.assert_allclose(brought, log_q(plain.guide, drawn), rtol=1e-9)
    sides = (jax.tree.leaves(eqx.filter(p.model, eqx.is_array)) for p in (made, plain))
    for own, theirs in zip(*sides, strict=True):
        np.testing.assert_array_equal(own, theirs)
    beyond = [*jax.tree.leaves(slope.family), slope.encoder.layers[-1].bias[2 * DIM :]]
    moves = any(np.max(np.abs(leaf), initial=0) > 1e-6 for leaf in beyond)
    assert moves != (guide in ("mean-field", "reverse"))


@pytest.mark.usefixtures("float64")
def test_a_low_rank_guide_starts_near_it():
    """At no rank at all the ELBO would have no slope in it: the covariance grows by a few per cent."""
    wide, plain = (pair(g).guide(ROW).variance for g in ("low-rank:2", "mean-field"))
    assert np.all((wide > plain) & (wide < 1.1 * plain))


@pytest.mark.usefixtures("float64")
def test_a_full_rank_guide_reaches_every_covariance_in_units_of_its_scales():
    """By Cholesky of a matrix that is given."""
    wanted = np.array([[4.0, 1.0, -0.5], [1.0, 2.0, 0.3], [-0.5, 0.3, 0.5]])
    tril = np.linalg.cholesky(wanted)
    scale = np.diag(tril)
    entries = 3 * (tril / scale[:, None])[np.tril_indices(3, -1)]
    features = np.concatenate([np.zeros(3), np.log(scale), entries])
    q = make_family("full-rank", 3, key=jax.random.key(0))(jnp.asarray(features))
    np.testing.assert_allclose(q.covariance_matrix, wanted, rtol=1e-12)
    assert make_family("low-rank:2", 3, key=jax.random.key(0)).num_features == 12


@pytest.mark.parametrize("choice", ["low-rank:0", "low-rank:x", "low-rank:2,iaf"])
def test_a_rank_is_a_number(choice):
    with pytest.raises(
        ValueError, match=r"guide: expected a rank of at least 1, got .* Try low-rank:4"
    ):
        check_family(choice)
