"""Without a closed form, the KL to a mixture prior is the average of log q - log p over draws of q:

    KL(q to p) = E_q[log q(z) - log p(z)],        p(z) = sum_c w_c N(z; m_c, s_c^2)

unbiased, and it is what the ELBO with `kl=auto` falls back to.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

from taut import ELBO, Datum, particles
from taut.core import AbstractModel, as_proposal
from taut.distributions import closed_kl, kl
from taut.models import LatentVariableModel, MixtureOfGaussians
from taut.models.likelihoods import Bernoulli
from taut.networks import MLP

pytestmark = pytest.mark.usefixtures("float64")
LOC, SCALE = 0.7, 0.4
NUM_DRAWS = 20_000


def _prior() -> MixtureOfGaussians:
    start = MixtureOfGaussians(1, 3, key=jax.random.key(0))
    rng = np.random.default_rng(5)
    return jax.tree.map(lambda a: a + jnp.asarray(rng.normal(size=a.shape), a.dtype), start)


def _by_quadrature(prior: MixtureOfGaussians, *, first_only: bool = False) -> float:
    """KL(q to p) on a grid; with `first_only`, to the first component alone."""
    scales = prior.floor + np.log1p(np.exp(np.asarray(prior.raw_scales)[:, 0]))
    weights = np.exp(np.asarray(prior.logits))
    weights = np.eye(3)[0] if first_only else weights / weights.sum()
    means = np.asarray(prior.means)[:, 0]

    # The trapezoid rule converges faster than any power of the spacing for smooth integrands.
    z, spacing = np.linspace(LOC - 12 * SCALE, LOC + 12 * SCALE, 4001, retstep=True)
    log_q = scipy.stats.norm.logpdf(z, LOC, SCALE)
    p = (weights * scipy.stats.norm.pdf(z[:, None], means, scales)).sum(axis=1)
    return float(spacing * np.sum(np.exp(log_q) * (log_q - np.log(p))))


def test_sampled_kl_agrees_with_quadrature():
    prior = _prior()
    q = dist.Normal(jnp.array([LOC]), SCALE).to_event(1)
    assert closed_kl(q, prior()) is None
    found = kl(q, prior(), jax.random.key(1), num_draws=NUM_DRAWS)
    assert found.side == "unbiased"
    assert abs(found.value - _by_quadrature(prior)) < 5 * found.mc_error
    assert abs(found.value - _by_quadrature(prior, first_only=True)) > 5 * found.mc_error


def test_the_elbo_falls_back_to_it():
    """The KL that `parts` gives under `kl=auto` is that of the draws, and `closed` is refused."""
    prior = _prior()
    decoder = MLP(1, (), 2, key=jax.random.key(2))
    model: AbstractModel = LatentVariableModel(prior, decoder, Bernoulli(), (2,))

    def guide(datum: Datum) -> dist.Distribution:
        return dist.Normal(jnp.array([LOC]), SCALE).to_event(1)

    datum = Datum(jnp.array([0.0, 1.0]))
    assert model.kl(datum, as_proposal(guide(datum)), jnp.zeros(1)) is None
    minted = jax.jit(lambda key: particles(model, guide, guide, datum, key, NUM_DRAWS))(
        jax.random.key(3)
    )
    assert minted.kl is None
    _, found = ELBO(num_draws=NUM_DRAWS).parts(minted)
    gaps = -(np.asarray(minted.terms["log_prior"]) + np.asarray(minted.terms["-log_q"]))
    error = gaps.std() / np.sqrt(NUM_DRAWS)
    assert abs(float(found.sum()) - _by_quadrature(prior)) < 5 * error
    with pytest.raises(ValueError, match='kl="auto"'):
        ELBO(num_draws=NUM_DRAWS, kl="closed")(minted)
