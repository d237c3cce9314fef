"""E[w] = p(x) for the weights of tempered chains, whatever the kernels and however far from equilibrium.

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

from taut.evidence import annealed, hmc
from taut.evidence.hmc import Point, transition
from taut.evidence.tempering import Plan, path_of

X = 1.3
NUM_CHAINS = 20_000
LEAPFROG = 2


def dropped_log_q(patch):
    def with_joint(self, beta):
        return self.log_q + beta * (self.log_w + self.log_q)

    patch.setattr(Point, "log_density", with_joint)


def wrong_increment(patch):
    patch.setattr(annealed, "increments", lambda b: jnp.diff(b, append=b[-1:])[1:])


def adapts_to_the_chain(patch):
    def moved(point, at, beta, step, *rest, **kept):
        return transition(point, at, beta, step * jnp.exp(-0.5 * point.u[0]), *rest, **kept)

    patch.setattr(annealed, "transition", moved)


def always_accepts(patch):
    patch.setattr(hmc, "metropolis", lambda ratio, key: (jnp.asarray(True), jnp.ones(())))


FAULTS = [dropped_log_q, wrong_increment, adapts_to_the_chain, always_accepts]


def model():
    return ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.7))


def annealed_weights():
    """w / p(x) of independent chains with long steps."""
    p = model()
    guide = NormalGuide(jnp.array(0.2), jnp.array(0.1), jnp.array(-0.1))

    @jax.jit
    def log_weights(key):
        path = path_of(p, annealed.as_proposal(guide(datum(X))), datum(X))
        drawn = annealed.started(p, path, datum(X), jax.random.fold_in(key, 0), NUM_CHAINS)
        plan = Plan(jnp.array([0.0, 0.3, 0.7, 1.0]), jnp.full(4, 1.7), jnp.full((2, 1), 0.7))
        _, log_w, acceptance = annealed.anneal(
            path, plan, drawn.points, drawn.draws.log_w, jax.random.fold_in(key, 1),
            leapfrog=LEAPFROG,
        )  # fmt: skip
        return log_w, acceptance

    log_w, acceptance = log_weights(jax.random.key(0))
    return np.exp(np.asarray(log_w) - p.log_evidence(X)), float(acceptance)


def standard_errors_off(weights):
    return (weights.mean() - 1) / (weights.std(ddof=1) / math.sqrt(len(weights)))


def test_annealed_weights_average_to_the_evidence(float64):
    weights, acceptance = annealed_weights()
    assert 0.3 < acceptance < 0.9  # so that the correction has something to do
    assert abs(standard_errors_off(weights)) < 5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault, float64, monkeypatch):
    fault(monkeypatch)
    weights, _ = annealed_weights()
    assert abs(standard_errors_off(weights)) > 5
