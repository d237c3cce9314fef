"""Laws of the divergence, over every rule that the library has; the registry must name them all."""

import itertools
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from kl_registry import REGISTRY, ROUNDING, Record, compiled
from numpyro.distributions import discrete
from numpyro.distributions.kl import kl_divergence

from taut.distributions.gaussian_kl import GAUSSIANS
from taut.distributions.kl_rules import RULES

pytestmark = pytest.mark.usefixtures("float64")


# NumPyro's own rules that are not taken over, and why.
NOT_TAKEN = {
    (dist.Kumaraswamy, dist.Beta): "a series cut after ten terms",
    (dist.MultivariateNormal, dist.MultivariateNormal): "one formula serves every Gaussian pair",
    (discrete.CategoricalProbs, discrete.CategoricalProbs): "NaN gradients at 0 log 0",
    **dict.fromkeys(
        [
            (dist.Distribution, dist.ExpandedDistribution),
            (dist.ExpandedDistribution, dist.Distribution),
            (dist.ExpandedDistribution, dist.ExpandedDistribution),
            (dist.Independent, dist.Independent),
            (dist.MaskedDistribution, dist.MaskedDistribution),
            (dist.Delta, dist.Distribution),
            (dist.Delta, dist.ExpandedDistribution),
        ],
        "taken apart by structure, for all rules",
    ),
}

over_rules = pytest.mark.parametrize("record", REGISTRY, ids=lambda r: r.name)


def agrees(value: Any, reference: tuple[np.ndarray, np.ndarray]) -> bool:
    """The law: within the reference's own error, and the rule's rounding."""
    expected, error = reference
    return bool(np.all(np.abs(np.asarray(value) - expected) <= error + ROUNDING))


# --- laws over the registry ---------------------------------------------------------------------


def test_every_rule_is_in_the_registry():
    named = {record.families for record in REGISTRY}
    gaussian = set(itertools.product(GAUSSIANS, repeat=2))
    assert named >= set(RULES) | gaussian
    assert len(named) == len(REGISTRY)


def test_every_rule_of_numpyro_is_taken_or_refused_for_a_reason():
    named = {record.families for record in REGISTRY}
    assert set(kl_divergence.funcs) - named - set(NOT_TAKEN) == set()


@over_rules
def test_equals_reference_and_the_reference_catches_mistakes(record: Record):
    q, p = record.pair
    reference = record.reference(q, p)
    assert np.all(reference[1] < 1e-8)
    rule = compiled(record.name)
    value, _ = rule(record.args)
    assert value.shape == q.batch_shape
    assert agrees(value, reference)
    # Planted: a constant dropped, and the arguments swapped (two families do that in their own pairs).
    assert not agrees(value - 0.5, reference)
    if record.families[0] is record.families[1]:
        assert not agrees(rule(record.args[::-1])[0], reference)


@over_rules
def test_is_positive_where_the_distributions_differ(record: Record):
    assert np.all(np.asarray(compiled(record.name)(record.args)[0]) > 0)


@over_rules
def test_is_zero_at_equality_with_zero_gradient(record: Record):
    value, gradient = compiled(record.name)(record.equal_args)
    assert np.all(np.abs(np.asarray(value)) <= ROUNDING)
    if record.families == (dist.Uniform, dist.Uniform):
        return  # a corner: +inf to one side of it
    for family, arguments in zip(record.families, gradient, strict=True):
        for leaf in map(np.asarray, jax.tree.leaves(arguments)):
            # Probabilities move on the simplex only, where a constant gradient is no slope.
            off_simplex = leaf.mean(-1, keepdims=True) if family is discrete.CategoricalProbs else 0
            assert np.all(np.abs(leaf - off_simplex) <= ROUNDING)


@over_rules
def test_gradient_is_finite(record: Record):
    gradient = compiled(record.name)(record.args)[1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
