"""Laws of mixtures of members of one family."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.special
import scipy.stats

from taut.core import NEG_LOG_Q, Enumerated, MixtureProposal, StratifiedProposal
from taut.core.mixture import _BLOCK

pytestmark = pytest.mark.usefixtures("float64")


def normal(given):
    loc, log_scale = given
    return dist.Normal(loc, jnp.exp(log_scale)).to_event(1)


def mixture(num: int, dim: int = 2) -> MixtureProposal:
    rng = np.random.default_rng(num)
    given = (jnp.asarray(rng.normal(size=(num, dim))), jnp.asarray(rng.normal(size=(num, dim)) - 1))
    return MixtureProposal(normal, given, jax.nn.log_softmax(jnp.asarray(rng.normal(size=num))))


@eqx.filter_jit
def log_density(q: MixtureProposal, z):
    return -q.terms(z)[NEG_LOG_Q]


def by_scipy(q: MixtureProposal, z: np.ndarray) -> float:
    loc, log_scale = (np.asarray(leaf) for leaf in q.given)
    each = scipy.stats.norm.logpdf(z, loc, np.exp(log_scale)).sum(axis=1)
    return float(np.asarray(scipy.special.logsumexp(each + np.asarray(q.log_weights))))


@pytest.mark.parametrize("num", [1, 3, _BLOCK, _BLOCK + 1, 3 * _BLOCK - 1])
def test_the_density_is_that_of_the_sum_in_one_block_and_in_several(num: int):
    q = mixture(num)
    for z in ([0.3, -1.0], [40.0, -40.0]):
        found = log_density(q, jnp.asarray(z))
        np.testing.assert_allclose(found, by_scipy(q, np.asarray(z)), rtol=1e-12)


def test_gradients_of_several_blocks_are_differences_of_the_sum():
    q, z = mixture(_BLOCK + 5), jnp.asarray([0.3, -1.0])
    gradient = jax.jit(jax.grad(lambda at: -q.terms(at)[NEG_LOG_Q]))(z)
    step = 1e-5
    for d in range(2):
        ahead, behind = (by_scipy(q, np.asarray(z + s * step * jnp.eye(2)[d])) for s in (1, -1))
        np.testing.assert_allclose(gradient[d], (ahead - behind) / (2 * step), rtol=1e-7)
    far = eqx.filter_jit(eqx.filter_grad(log_density))(q, jnp.full(2, 300.0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(far))


def test_draws_follow_the_density():
    q = mixture(3, dim=1)
    z = np.asarray(q.draw(jax.random.key(0), 20_000).z)[:, 0]
    weights = np.exp(np.asarray(q.log_weights))
    loc, scale = np.asarray(q.given[0])[:, 0], np.exp(np.asarray(q.given[1])[:, 0])

    def cdf(at, weights=weights):
        return (weights * scipy.stats.norm.cdf(np.asarray(at)[:, None], loc, scale)).sum(axis=1)

    level = 2 * scipy.stats.norm.sf(5)
    assert scipy.stats.kstest(z, cdf).pvalue > level
    assert scipy.stats.kstest(z, lambda at: cdf(at, np.full(3, 1 / 3))).pvalue < level
    assert not q.reparameterized
    np.testing.assert_allclose(q.mean(), [weights @ loc])


def test_a_member_that_enumerates_a_class_gives_one_latent_a_draw():
    """One class with its chance and what lies within it, not a draw of every class."""
    chance, loc = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[-9.0, -3.0], [3.0, 9.0]])
    q = MixtureProposal(
        lambda at: StratifiedProposal(jnp.log(at[0]), at[1][:, None], jnp.full((2, 1), 0.1)),
        (jnp.asarray(chance), jnp.asarray(loc)), jnp.log(jnp.array([0.25, 0.75])),
    )  # fmt: skip
    y, z = q.draw(jax.random.key(0), 20_000).z
    assert (y.shape, z.shape) == ((20_000, 2), (20_000, 1))
    near = np.abs(np.asarray(z) - loc.ravel()).argmin(axis=1)
    np.testing.assert_array_equal(np.argmax(y, axis=1), near % 2)
    share = np.bincount(near, minlength=4) / len(near)
    wanted = (np.array([[0.25], [0.75]]) * chance).ravel()
    assert np.all(np.abs(share - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / len(near)))


def test_a_member_that_enumerates_its_support_gives_outcomes_by_their_mass():
    chance = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    q = MixtureProposal(
        lambda log_q: Enumerated(jnp.arange(3), log_q), jnp.log(jnp.asarray(chance)),
        jnp.log(jnp.array([0.25, 0.75])),
    )  # fmt: skip
    z = np.asarray(q.draw(jax.random.key(0), 20_000).z)
    assert z.shape == (20_000,)
    share, wanted = np.bincount(z, minlength=3) / len(z), np.array([0.25, 0.75]) @ chance
    assert np.all(np.abs(share - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / len(z)))


def test_draws_of_many_members_take_memory_by_their_numbers_not_by_the_product():
    q, count = mixture(4_000, dim=1), 3_000
    drawn: Any = eqx.filter_jit(lambda q, key: q.draw(key, count).z)
    memory = drawn.lower(q, jax.random.key(0)).compile().compiled.memory_analysis()
    assert memory.temp_size_in_bytes < 8 * count * 4_000 / 4
