"""The error of a KL is that of its draws: of layers given those above, or of strata."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.architectures import VAE, Ladder
from taut.audit import latent_use
from taut.audit.gaps import gaps
from taut.core import Datum, Pair, StratifiedProposal
from taut.data import Schema
from taut.evidence import SMC, Annealed, importance_sampling
from taut.models import LatentVariableModel
from taut.models.likelihoods import Gaussian
from taut.models.priors import MixtureOfGaussians, ProductPrior

SCHEMA = Schema(name="rows", kind="table", shape=(3,), support="real")
ROWS = Datum(np.random.default_rng(0).normal(size=(3, 3)))
KEYS = [jax.random.key(seed) for seed in range(60)]


def pair_of(architecture):
    """A pair whose arrays are away from where they start."""
    pair = architecture.init(SCHEMA, jax.random.key(0))
    rng = np.random.default_rng(0)
    arrays, rest = eqx.partition(pair, eqx.is_inexact_array)

    def moved(leaf):
        return leaf + jnp.asarray(rng.normal(scale=0.3, size=leaf.shape), leaf.dtype)

    return eqx.combine(jax.tree.map(moved, arrays), rest)


TWO = Ladder(latent_dims=(2, 1), hidden=(4, 4), activation="tanh")
THREE = Ladder(latent_dims=(2, 2, 1), hidden=(4, 4, 4), activation="tanh")


def agrees(estimates):
    """Whether errors are the spread over keys, and the claim is not that there is none."""
    spread = np.std([found.value for found in estimates], ddof=1)
    claimed = np.mean([found.mc_error for found in estimates])
    assert {found.side for found in estimates} <= {"unbiased", "lower"}
    assert spread > 1e-4
    assert 0.7 < claimed / spread < 1.4


@pytest.mark.parametrize("architecture", [TWO, THREE])
def test_evidence_of_layers_knows_the_error_of_their_kl(float64, architecture):
    pair = pair_of(architecture)
    found = [importance_sampling(pair, ROWS, key=key, num_particles=60) for key in KEYS]
    for name in ("kl", "elbo", "reconstruction"):
        agrees([getattr(one, name) for one in found])
    one = found[0]
    np.testing.assert_allclose(one.elbo.value, one.reconstruction.value - one.kl.value)


@pytest.mark.parametrize("method", [Annealed, SMC])
def test_chains_from_layers_know_the_error_of_their_kl(float64, method):
    chains = method(num_particles=60, temperatures=2, leapfrog=1)
    found = [chains(pair_of(TWO), ROWS, key=key) for key in KEYS[:40]]
    for name in ("kl", "elbo"):
        agrees([getattr(one, name) for one in found])
    together = method(num_particles=1100, temperatures=2, leapfrog=1)(
        pair_of(TWO), ROWS, key=KEYS[0]
    )  # more chains than move at once
    assert abs(together.kl.value - found[0].kl.value) < 5 * found[0].kl.mc_error
    assert together.kl.mc_error == pytest.approx(found[0].kl.mc_error * np.sqrt(60 / 1100), rel=0.5)


def test_the_kl_of_layers_is_that_of_all_chunks(float64):
    pair = pair_of(TWO)
    many, few = (importance_sampling(pair, ROWS, key=KEYS[0], num_particles=k) for k in (9000, 60))
    assert abs(many.kl.value - few.kl.value) < 5 * few.kl.mc_error
    assert many.kl.mc_error == pytest.approx(few.kl.mc_error * np.sqrt(60 / 9000), rel=0.5)


@pytest.mark.parametrize("architecture", [TWO, THREE])
def test_the_use_of_layers_knows_the_error_of_their_kl(float64, architecture):
    pair = pair_of(architecture)
    found = [latent_use(pair, ROWS, key=key) for key in KEYS]
    agrees([one.kl for one in found])
    for level in range(len(architecture.latent_dims) - 1):
        agrees([one.kls[level] for one in found])
    assert all(one.kls[-1].side == "exact" for one in found)
    assert all(one.kls[-1].mc_error == 0 for one in found)


def test_the_gap_of_layers_knows_the_error_of_their_kl(float64):
    """Of rows without an observed cell, whose likelihood is one at every draw."""
    pair, unseen = pair_of(TWO), Datum(ROWS.x, np.zeros((3, 3), bool))
    evidence = importance_sampling(pair, unseen, key=KEYS[0], num_particles=60)
    agrees([gaps(pair, unseen, evidence, key=key, num_draws=60).elbo for key in KEYS])


def test_one_level_has_its_kl_without_error(float64):
    pair = pair_of(VAE(latent_dim=2, hidden=(4,), activation="tanh"))
    found = importance_sampling(pair, ROWS, key=KEYS[0], num_particles=60)
    again = importance_sampling(pair, ROWS, key=KEYS[1], num_particles=60)
    use = latent_use(pair, ROWS, key=KEYS[0])
    assert found.kl.side == use.kl.side == "exact"
    assert found.kl.mc_error == use.kl.mc_error == 0
    np.testing.assert_allclose([again.kl.value, use.kl.value], found.kl.value)
    assert found.elbo.mc_error == found.reconstruction.mc_error > 0


class OfClasses(eqx.Module):
    """Three classes, the last of which is next to never drawn and far from the others."""

    def __call__(self, datum):
        far = jnp.array([[1.0, 1.0], [1.0, 1.0], [40.0, 40.0]])
        logits = jnp.array([0.0, 0.0, -12.0]) + datum.x[0]
        return StratifiedProposal(logits, far * datum.x[1], 0.5 * jnp.ones((3, 2)))


def test_the_use_of_strata_has_the_error_of_replicates(float64):
    prior = ProductPrior(3, MixtureOfGaussians(2, 4, key=jax.random.key(0)))
    model = LatentVariableModel(prior, lambda z: jnp.concatenate(z)[:3], Gaussian(shape=(3,)), (3,))
    agrees([latent_use(Pair(model, OfClasses()), ROWS, key=key).kl for key in KEYS])
