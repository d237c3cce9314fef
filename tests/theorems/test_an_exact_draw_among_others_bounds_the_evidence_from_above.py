"""E log of an average of weights, one of them at a draw of the posterior: at least log p(x).

By the tables of a model with three z and three x, over all pairs of draws; and with the evidence of a
linear-Gaussian model. Weights of the guide alone are the planted fault: they bound from below.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    NormalGuide,
    TableModel,
)

from taut.core import Datum, InputError, Pair
from taut.evidence import EVIDENCE, Simulated, weigh_known

TABLE = TableModel(
    jnp.array([0.2, -0.5, 0.4]),
    jnp.array([[0.3, -0.1, 0.2], [-0.4, 0.5, 0.1], [0.0, 0.9, -0.6]]),
)
LOGITS = np.array([1.5, 0.1, -1.5])
ROWS = 8000


def numbers(estimate: Any) -> np.ndarray:
    assert estimate.values is not None
    return estimate.values


def from_table(count: int) -> Simulated:
    """Pairs of the table's joint law."""
    law = np.exp(TABLE.log_joint_table())
    z, x = np.divmod(np.random.default_rng(0).choice(9, count, p=law.ravel() / law.sum()), 3)
    return Simulated(Datum(jnp.asarray(x)), jnp.asarray(z))


def expectations(x: int) -> tuple[float, float, float]:
    """log p(x), and the expectations of both ends of two draws, by enumeration."""
    log_joint = TABLE.log_joint_table()[:, x]
    log_q = scipy.special.log_softmax(LOGITS)
    log_evidence = scipy.special.logsumexp(log_joint)
    log_w, posterior, q = log_joint - log_q, np.exp(log_joint - log_evidence), np.exp(log_q)
    pairs = list(itertools.product(range(3), repeat=2))
    mean = {p: np.logaddexp(log_w[p[0]], log_w[p[1]]) - np.log(2) for p in pairs}
    lower = sum(q[a] * q[b] * mean[a, b] for a, b in pairs)
    return (
        float(log_evidence),
        float(lower),
        float(sum(q[a] * posterior[b] * mean[a, b] for a, b in pairs)),
    )


def test_both_ends_have_the_expectations_of_an_enumeration(float64):
    made = from_table(ROWS)
    pair = Pair(TABLE, CategoricalGuide(jnp.asarray(LOGITS)))
    found = weigh_known(*pair.bind(), made, key=jax.random.key(1), num_particles=2)
    assert found.upper is not None
    for x in range(3):
        truth, lower, upper = expectations(x)
        assert lower < truth < upper
        at = np.asarray(made.rows.x) == x
        for values, expected in (
            (numbers(found.log_evidence), lower),
            (numbers(found.upper), upper),
        ):
            error = values[at].std() / np.sqrt(at.sum())
            assert abs(values[at].mean() - expected) < 5 * error
            assert (
                abs(values[at].mean() - truth) > 5 * error
            )  # neither end would pass for the truth
    assert (found.log_evidence.side, found.upper.side) == ("lower", "upper")


def test_the_gap_closes_with_the_draws(float64):
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    pair = Pair(model, NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.2)))
    z, noise = np.random.default_rng(0).normal(size=(2, 200))
    x = 0.9 * z - 0.2 + np.exp(-0.3) * noise
    made = Simulated(Datum(jnp.asarray(x)), jnp.asarray(z))
    truth = np.array([model.log_evidence(float(x)) for x in made.rows.x])
    gaps = []
    for name, draws in (("importance", 10), ("importance", 1000), ("monte-carlo", 1000)):
        method: Any = EVIDENCE[name]
        found = method(num_particles=draws).both_ends(pair, made, key=jax.random.key(1))
        for end, sign in ((found.log_evidence, 1), (found.upper, -1)):
            off = sign * (numbers(end) - truth)
            assert off.mean() < 5 * off.std() / np.sqrt(len(off))
        gaps.append(found.upper.value - found.log_evidence.value)
    assert 0 < gaps[1] < gaps[0] / 20
    assert gaps[2] > 0


def test_draws_that_no_exact_one_stands_for_are_refused():
    made = from_table(4)
    guide = EnumeratedGuide(jnp.asarray(LOGITS))
    with pytest.raises(InputError, match="independent draws with a density"):
        weigh_known(TABLE, guide, made, key=jax.random.key(1), num_particles=5)
