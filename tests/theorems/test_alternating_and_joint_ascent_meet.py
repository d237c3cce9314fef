"""Alternating and joint ascent climb one function of (theta, phi), so they meet at its fixed points.

At such a point the bound has no slope in either argument; where each partial maximum is unique, the
alternation of exact partial maxima ends there as well.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from known_models import EnumeratedGuide, FedGuide, TableModel, datum

from taut.bounds import ELBO
from taut.core import Datum, Pair
from taut.gradients import Reparameterized
from taut.guides import ExponentialGuide
from taut.inference.amortized import Alternate, joint, variational_em
from taut.models import ExponentialNormal, joint_optimum

NODES, MASSES = (tuple(a) for a in np.polynomial.laguerre.laggauss(2))


class ExactExponential(eqx.Module):
    """Exp(phi), drawn at the Gauss-Laguerre nodes that average a quadratic exactly."""

    log_phi: Any

    def __call__(self, row):
        guide = ExponentialGuide(self.log_phi)
        return FedGuide(guide, np.array(NODES), lambda q, eps: eps / q.rate, np.array(MASSES))(row)


def ended(algorithm, rows, num_steps):
    """Parameters and bound after steps on all rows."""

    @jax.jit
    def steps(state):
        state = jax.lax.fori_loop(0, num_steps, lambda _, s: algorithm.step(s, rows)[0], state)
        return state, algorithm.step(state, rows)[1]["bound"]

    state, bound = steps(algorithm.init())
    return algorithm.pair(state), float(bound)


def three_ways(pair, rows, rate, num_steps):
    """Joint ascent; one step each in turn; five E-steps for each M-step."""
    parts = (pair, ELBO(kl="sampled"), Reparameterized())
    options = {"example": jax.tree.map(lambda leaf: leaf[0], rows), "key": jax.random.key(0)}

    def alternating(e_steps):
        schedule = Alternate(e_steps, 1)
        optimizers = (optax.sgd(rate), optax.sgd(rate))
        return variational_em(*parts, *optimizers, alternation=schedule, **options)

    algorithms = (joint(*parts, optax.sgd(rate), **options), alternating(1), alternating(5))
    lengths = (num_steps, 2 * num_steps, 6 * num_steps)
    return [ended(a, rows, n) for a, n in zip(algorithms, lengths, strict=True)]


def test_where_the_joint_optimum_is_known(float64):
    x = np.array([0.9, 1.5, -0.2])
    start = Pair(ExponentialNormal.at(0.5), ExactExponential(jnp.log(3.0)))
    known = joint_optimum(x)
    for pair, bound in three_ways(start, Datum(x), 0.2, 600):
        assert float(jnp.exp(pair.model.log_theta)) == pytest.approx(known.theta, rel=1e-6)
        assert float(jnp.exp(pair.guide.log_phi)) == pytest.approx(known.phi, rel=1e-6)
        assert bound == pytest.approx(known.elbo, abs=1e-10)


def test_exact_partial_maxima_end_at_the_same_point(float64):
    """theta <- phi, phi <- its best for theta: every sweep raises the bound, up to 2 / x."""
    x, theta = 1.4, 0.3
    bounds = []
    for _ in range(60):
        model = ExponentialNormal.at(theta)
        theta = phi = float(model.best_phi(datum(x)))
        bounds.append(float(ExponentialNormal.at(theta).elbo(datum(x), phi)))
    assert (np.diff(bounds) > -1e-14).all()
    assert theta == pytest.approx(joint_optimum(x).theta, rel=1e-9)
    # Planted: keeping theta where it was reaches another point.
    held = float(ExponentialNormal.at(0.3).best_phi(datum(x)))
    assert abs(held - joint_optimum(x).phi) > 0.1


class ByOutcome(eqx.Module):
    """q(z | x) as a row of logits for each x."""

    logits: Any

    def __call__(self, row):
        return EnumeratedGuide(self.logits[row.x])(row)


def test_where_z_is_enumerated(float64):
    """Prior, likelihood and guide are tables; the best evidence is minus the entropy of the rows."""
    rng = np.random.default_rng(4)
    model = TableModel(jnp.array([0.3, -0.4]), jnp.asarray(rng.normal(size=(2, 3))))
    guide = ByOutcome(jnp.asarray(rng.normal(size=(3, 2))))
    rows = Datum(np.array([0, 1, 1, 2, 0, 1]))
    found = three_ways(Pair(model, guide), rows, 0.5, 3000)
    shares = np.array([2, 3, 1]) / 6
    for pair, bound in found:
        assert bound == pytest.approx((shares * np.log(shares)).sum(), abs=1e-8)
        evidence = np.log(np.exp(pair.model.log_joint_table()).sum(axis=0))
        np.testing.assert_allclose(evidence, np.log(shares), atol=1e-4)
        posterior = pair.model.log_joint_table().T - evidence[:, None]
        np.testing.assert_allclose(
            jax.nn.log_softmax(pair.guide.logits, axis=1), posterior, atol=1e-4
        )
