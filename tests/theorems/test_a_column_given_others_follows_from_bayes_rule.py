"""p(y | x_o) = sum_z p(z) p(y | z) prod_{d in o} p(x_d | z) / the same summed over y, for every mask.

Latent classes are summed by hand, in plain NumPy, over all rows and masks of a small table. A decoder
of two latents is integrated by quadrature: there the average over K draws is biased, the less the more
draws there are.
"""

from itertools import product
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import Datum, Pair
from taut.fitted.conditional import hidden, joint_evidences
from taut.guides import ExactPair, PriorGuide
from taut.models import LatentVariableModel, StandardNormal
from taut.models.exact import LatentClass
from taut.models.likelihoods import make_likelihood

RNG = np.random.default_rng(0)
WEIGHTS = RNG.dirichlet(np.ones(3))
THETA = RNG.dirichlet(np.ones(2), size=(3, 4))  # classes, columns, values
ROWS = np.array(list(product((0.0, 1.0), repeat=4)))
MASKS = [np.array(m) for m in product((True, False), repeat=3)]  # of all columns but the target


def _by_hand(row: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """p(y | x_o) with the target in column 1."""
    others = [d for d in (0, 2, 3) if seen[d]]
    each = np.array([WEIGHTS * THETA[:, 1, y] for y in (0, 1)])
    for d in others:
        each = each * THETA[:, d, int(row[d])]
    total = each.sum(axis=1)
    return total / total.sum()


@pytest.mark.parametrize("seen", MASKS, ids=str)
def test_latent_classes_obey_bayes_rule_for_every_mask(seen, float64):
    model = LatentClass(jnp.log(WEIGHTS), jnp.log(THETA), (4,), 1, None)
    mask = np.tile(np.insert(seen, 1, True), (len(ROWS), 1))
    rows = hidden(Datum(np.where(mask, ROWS, np.nan), mask), 1)
    found = joint_evidences(
        ExactPair(model), rows, np.array([0.0, 1.0]), 1, num_particles=1, key=jax.random.key(0)
    )
    ratio = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    wanted = [_by_hand(row, m) for row, m in zip(ROWS, mask, strict=True)]
    np.testing.assert_allclose(ratio, wanted, rtol=1e-12)


@pytest.mark.parametrize("seen", MASKS, ids=str)
def test_a_hidden_target_leaves_the_evidence_of_the_other_columns(seen, float64):
    """A row without its target contributes log p(x_o), and with it log p(x_o) + log p(y | x_o)."""
    model = LatentClass(jnp.log(WEIGHTS), jnp.log(THETA), (4,), 1, None)
    mask = np.tile(np.insert(seen, 1, True), (len(ROWS), 1))
    whole = Datum(np.where(mask, ROWS, np.nan), mask)
    both = np.asarray(jax.vmap(model.log_evidence)(whole))
    alone = np.asarray(jax.vmap(model.log_evidence)(hidden(whole, 1)))
    given = [
        np.log(_by_hand(row, m)[int(row[1])]) for row, m in zip(ROWS, mask, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(both - alone, given, rtol=1e-10, atol=1e-12)


class _Decoder(eqx.Module):
    weight: Any
    bias: Any

    def __call__(self, z: Any) -> Any:
        return self.weight @ z + self.bias


def _decoded() -> tuple[Pair, np.ndarray, np.ndarray]:
    """Three bits given two latents, and a guide that is far from the posterior."""
    weight, bias = RNG.normal(size=(3, 2)) * 2, RNG.normal(size=3)
    decoder = _Decoder(jnp.asarray(weight), jnp.asarray(bias))
    likelihood = make_likelihood("bernoulli", shape=(3,))
    model = LatentVariableModel(StandardNormal(2), decoder, likelihood, (3,))
    return Pair(model, PriorGuide(model)), weight, bias


def test_a_decoder_comes_to_bayes_rule_with_many_draws(float64):
    pair, weight, bias = _decoded()
    nodes, mass = np.polynomial.hermite_e.hermegauss(60)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    logits, mass = z @ weight.T + bias, np.outer(mass, mass).ravel()
    row, seen = np.array([1.0, 1.0, 0.0]), np.array([True, True, False])
    bits = 1 / (1 + np.exp(-logits))
    joint = mass @ (bits[:, 1] * np.stack([1 - bits[:, 0], bits[:, 0]])).T
    wanted = joint[1] / joint.sum()
    rows = hidden(Datum(np.tile(row, (4000, 1)), np.tile(seen, (4000, 1))), 0)

    def bias_of(count: int) -> tuple[float, float]:
        logs = joint_evidences(
            pair, rows, np.array([0.0, 1.0]), 0, num_particles=count, key=jax.random.key(1)
        )
        found = 1 / (1 + np.exp(logs[:, 0] - logs[:, 1])) - wanted
        return abs(float(found.mean())), float(found.std() / np.sqrt(len(found)))

    one, many = bias_of(1), bias_of(32)
    assert one[0] > 5 * one[1]  # a bias that chance does not make
    assert many[0] < one[0] / 8 + 5 * many[1]
