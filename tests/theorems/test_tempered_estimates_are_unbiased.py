"""E[w] = p(x) for the weights of tempered chains, whatever the kernels and however far from equilibrium;
and E[1 / w] = 1 / p(x) for chains that go back from draws of the posterior.

On a model whose evidence SciPy knows, in steps so few and long that every fault costs more than the
error of the mean: a weight without its log q, weights that count at the wrong temperature, kernels that
go on adapting to where the chain is, kernels without their correction.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import ConjugateGaussian, NormalGuide, datum

from taut.core import as_proposal
from taut.evidence import chains, hmc, smc
from taut.evidence.hmc import Point, transition
from taut.evidence.tempering import Plan, path_of

X = 1.3
NUM_CHAINS, NUM_BACKWARD = 20_000, 80_000  # of 1 / w, fewer do not see every fault
LEAPFROG = 2


def dropped_log_q(patch):
    def with_joint(self, beta):
        return self.log_q + beta * (self.log_w + self.log_q)

    patch.setattr(Point, "log_density", with_joint)


def wrong_increment(patch):
    for module in (chains, smc):
        patch.setattr(module, "increments", lambda b: jnp.diff(b, append=b[-1:])[1:])


def adapts_to_the_chain(patch):
    def moved(point, at, beta, step, *rest, **kept):
        return transition(point, at, beta, step * jnp.exp(-0.5 * point.u[0]), *rest, **kept)

    patch.setattr(chains, "transition", moved)


def always_accepts(patch):
    patch.setattr(hmc, "metropolis", lambda ratio, key: (jnp.asarray(True), jnp.ones(())))


FAULTS = [dropped_log_q, wrong_increment, adapts_to_the_chain, always_accepts]


def model():
    return ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.7))


PLAN = Plan(jnp.array([0.0, 0.3, 0.7, 1.0]), jnp.full(4, 1.4), jnp.full((2, 1), 0.7))
# Wider than the posterior, so that w is bounded; narrower, so that 1 / w is.
WIDE, NARROW = -0.1, -1.0
FAR = 2.5  # where weights vary so much that clouds are resampled


def path(log_scale, x=X):
    guide = NormalGuide(jnp.array(0.2), jnp.array(0.1), jnp.array(log_scale))
    return path_of(model(), as_proposal(guide(datum(x))), datum(x))


def forward_weights():
    """w / p(x) of independent chains with long steps."""

    @jax.jit
    def log_weights(key):
        drawn = chains.started(
            model(), path(WIDE), datum(X), jax.random.fold_in(key, 0), NUM_CHAINS
        )
        _, log_w, acceptance = chains.anneal(
            path(WIDE), PLAN, drawn.points, drawn.draws.log_w, jax.random.fold_in(key, 1),
            leapfrog=LEAPFROG,
        )  # fmt: skip
        return log_w, acceptance

    log_w, acceptance = log_weights(jax.random.key(0))
    assert acceptance > 0.3  # no chain stays where it was
    return np.exp(np.asarray(log_w) - model().log_evidence(X))


def backward_weights():
    """p(x) / w of chains that begin at independent draws of the posterior, by SciPy."""
    mean, scale = model().posterior(X)
    exact = np.random.default_rng(1).normal(mean, scale, (NUM_BACKWARD, 1))

    @jax.jit
    def log_weights(exact, keys):
        def one(u, key):
            back = chains.return_to_start(path(NARROW), PLAN, u, key, count=1, leapfrog=LEAPFROG)
            return back[0]

        return jax.vmap(one)(exact, keys)

    log_w = log_weights(jnp.asarray(exact), jax.random.split(jax.random.key(1), NUM_BACKWARD))
    return np.exp(model().log_evidence(X) - np.asarray(log_w))


def cloud_weights():
    """Estimate / p(x) of independent clouds of a few chains, which are resampled now and then."""

    @jax.jit
    def log_estimates(keys):
        def one(key):
            drawn = chains.started(
                model(), path(WIDE, FAR), datum(FAR), jax.random.fold_in(key, 0), 5
            )
            cloud, _ = smc.temper(
                path(WIDE, FAR), PLAN, drawn.points, jax.random.fold_in(key, 1), leapfrog=LEAPFROG
            )
            kept = jnp.unique(cloud.ancestors, size=5, fill_value=-1)
            return jax.nn.logsumexp(cloud.by_ancestor()) - jnp.log(5.0), jnp.sum(kept >= 0)

        return jax.vmap(one)(keys)

    log_z, kept = log_estimates(jax.random.split(jax.random.key(2), NUM_CHAINS))
    assert 0.2 < np.mean(np.asarray(kept) < 5) < 0.95  # some are resampled, some are not
    return np.exp(np.asarray(log_z) - model().log_evidence(FAR))


def standard_errors_off(weights):
    return (weights.mean() - 1) / (weights.std(ddof=1) / math.sqrt(len(weights)))


WAYS = [forward_weights, backward_weights, cloud_weights]


@pytest.mark.parametrize("weights", WAYS)
def test_the_weights_average_to_the_evidence(weights, float64):
    assert abs(standard_errors_off(weights())) < 5


@pytest.mark.parametrize("weights", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault, weights, float64, monkeypatch):
    fault(monkeypatch)
    assert abs(standard_errors_off(weights())) > 5


def test_a_cloud_that_keeps_its_weights_after_resampling_is_seen(float64, monkeypatch):
    honest = smc.resampled

    def kept(cloud, key):
        return honest(cloud, key)._replace(log_w=cloud.log_w)

    monkeypatch.setattr(smc, "resampled", kept)
    assert abs(standard_errors_off(cloud_weights())) > 5
