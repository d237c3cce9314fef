"""The divergence beyond its rules: edges of supports, structure, its number with an error, messages."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from kl_registry import (
    EPS,
    FACTOR,
    HALF_LINE,
    LOC,
    ROUNDING,
    TRIL,
    UNIT,
    VARIANCE,
    A,
    diagonal,
    full,
    rng,
)
from numpyro.distributions.kl import kl_divergence

from taut.core import InputError
from taut.distributions import InverseCDF, closed_kl, kl, kl_per_dimension

pytestmark = pytest.mark.usefixtures("float64")


# --- the edges of supports ----------------------------------------------------------------------


def unchecked(logits: Any) -> Any:
    """NumPyro's validation knows no logit of -inf, which is how a category is ruled out."""
    return dist.Categorical(logits=logits, validate_args=False)


EDGES = {
    "categorical, 0 log 0": (
        lambda a, b: (dist.Categorical(probs=a), dist.Categorical(probs=b)),
        [0.0, 0.5, 0.5], [0.2, 0.4, 0.4], math.log(0.5 / 0.4),
    ),
    "categorical, zero of p under zero of q": (
        lambda a, b: (dist.Categorical(probs=a), dist.Categorical(probs=b)),
        [0.0, 0.5, 0.5], [0.0, 0.5, 0.5], 0.0,
    ),
    "categorical, q leaves": (
        lambda a, b: (dist.Categorical(probs=a), dist.Categorical(probs=b)),
        [0.2, 0.4, 0.4], [0.0, 0.5, 0.5], math.inf,
    ),
    "categorical logits, q leaves": (
        lambda a, b: (unchecked(a), unchecked(b)),
        [0.0, 0.0, 0.0], [-math.inf, 0.0, 0.0], math.inf,
    ),
    "categorical logits, 0 log 0": (
        lambda a, b: (unchecked(a), unchecked(b)),
        [-math.inf, 0.0, 0.0], [0.0, 0.0, 0.0], math.log(1.5),
    ),
    "bernoulli, 0 log 0": (
        lambda a, b: (dist.Bernoulli(probs=a), dist.Bernoulli(probs=b)), 0.0, 0.5, math.log(2.0),
    ),
    "bernoulli, 1 log 1": (
        lambda a, b: (dist.Bernoulli(probs=a), dist.Bernoulli(logits=b)), 1.0, 0.0, math.log(2.0),
    ),
    "bernoulli, q leaves": (
        lambda a, b: (dist.Bernoulli(probs=a), dist.Bernoulli(probs=b)), 0.5, 1.0, math.inf,
    ),
    "poisson, no rate": (
        lambda a, b: (dist.Poisson(a), dist.Poisson(b)), 0.0, 2.0, 2.0,
    ),
    "poisson, q leaves": (
        lambda a, b: (dist.Poisson(a), dist.Poisson(b)), 2.0, 0.0, math.inf,
    ),
    "geometric, q leaves": (
        lambda a, b: (dist.GeometricProbs(a), dist.GeometricProbs(b)), 0.5, 1.0, math.inf,
    ),
    "uniform, q leaves": (
        lambda a, b: (dist.Uniform(0.0, a), dist.Uniform(0.0, b)), 2.0, 1.0, math.inf,
    ),
    "uniform, disjoint": (
        lambda a, b: (dist.Uniform(a, a + 1.0), dist.Uniform(b, b + 1.0)), 0.0, 5.0, math.inf,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges_have_the_right_value_and_a_finite_gradient(name: str):
    pair, a, b, expected = EDGES[name]
    args = (jnp.asarray(a), jnp.asarray(b))
    value, gradient = jax.jit(jax.value_and_grad(lambda args: closed_kl(*pair(*args))))(args)
    np.testing.assert_allclose(value, expected, rtol=8 * EPS, atol=8 * EPS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_numpyros_categorical_rule_has_the_fault_that_keeps_it_out():
    def rule(probs: Any) -> Any:
        return kl_divergence(
            dist.CategoricalProbs(probs), dist.CategoricalProbs(A([0.2, 0.4, 0.4]))
        )

    assert not np.isfinite(jax.jit(jax.grad(rule))(A([0.0, 0.5, 0.5]))).all()


def test_numpyros_kumaraswamy_rule_has_the_fault_that_keeps_it_out():
    q, p = dist.Kumaraswamy(A([2.0]), A([0.5])), dist.Beta(A([1.0]), A([3.0]))
    expected, error = UNIT(q, p)
    assert error < 1e-6
    assert abs(float(jax.jit(lambda: kl_divergence(q, p))()[0]) - expected[0]) > 0.01
    assert closed_kl(q, p) is None


# --- structure ----------------------------------------------------------------------------------


def divergence(q: Any, p: Any) -> Any:
    return jax.jit(lambda: closed_kl(q, p))()


def test_delta_is_finite_only_on_an_atom_of_p():
    p = dist.Poisson(A([2.0, 3.0])).to_event(1)
    expected = -np.sum(p.log_prob(A([1, 4])))
    np.testing.assert_allclose(
        divergence(dist.Delta(A([1, 4]), event_dim=1), p), expected, rtol=8 * EPS
    )
    np.testing.assert_allclose(
        divergence(dist.Delta(A([1, 4])).to_event(1), p), expected, rtol=8 * EPS
    )
    assert divergence(dist.Delta(A([-1, 4]), event_dim=1), p) == np.inf
    assert divergence(dist.Delta(A(0.3)), dist.Normal(0.0, 0.01)) == np.inf
    assert divergence(dist.Delta(A(0.3)), dist.Delta(A(0.3))) == 0.0
    assert divergence(dist.Delta(A(0.3)), dist.Delta(A(0.4))) == np.inf
    expanded = dist.Delta(A(0.3)).expand((2,)).to_event(1)
    assert divergence(expanded, dist.Delta(A([0.3, 0.3])).to_event(1)) == 0.0
    gradient = jax.jit(jax.grad(lambda rate: closed_kl(dist.Delta(A(-1)), dist.Poisson(rate))))(2.0)
    assert np.isfinite(gradient)


def test_independent_dimensions_may_be_split_differently():
    loc, scale = A(rng.normal(size=(4, 2, 3))), A(rng.uniform(0.5, 2, size=(4, 2, 3)))
    q, p = dist.Normal(loc, scale), dist.Normal(0.0, 1.0)
    cells = np.asarray(divergence(q, p.expand((4, 2, 3))))
    assert cells.shape == (4, 2, 3)
    for q_event, p_event in [
        (q.to_event(2), p.expand((2, 3)).to_event(2)),
        (q.to_event(1).to_event(1), p.expand((4, 2, 3)).to_event(2)),
        (q.to_event(2), p.expand((3,)).to_event(1).expand((2,)).to_event(1)),
        (q.to_event(2), full(jnp.zeros((2, 3)), jnp.eye(3)).to_event(1)),
        (full(loc, scale[..., None] * jnp.eye(3)).to_event(1), p.expand((2, 3)).to_event(2)),
    ]:
        value = divergence(q_event, p_event)
        np.testing.assert_allclose(value, cells.sum((1, 2)), rtol=100 * EPS)
    np.testing.assert_allclose(
        divergence(q.to_event(1), p.expand((3,)).to_event(1)), cells.sum(2), rtol=100 * EPS
    )


def test_expanded_distributions_broadcast():
    q = dist.Gamma(A([[2.0], [3.0]]), 1.0).expand((2, 5))
    p = dist.Gamma(1.5, A([1.0, 2.0, 3.0, 4.0, 5.0]))
    value = divergence(q, p)
    assert value.shape == (2, 5)
    for i, j in [(0, 0), (1, 4)]:
        single = divergence(dist.Gamma(A([2.0, 3.0])[i], 1.0), dist.Gamma(1.5, A(j + 1.0)))
        np.testing.assert_allclose(value[i, j], single, rtol=8 * EPS)


def test_masked_elements_count_nothing():
    q, p = dist.Normal(A([0.0, 1.0]), 1.0), dist.Normal(3.0, A([1.0, 2.0]))
    whole = np.asarray(divergence(q, p))
    mask = A([True, False])
    for masked in [(q.mask(mask), p.mask(True)), (q.mask(mask), p), (q, p.mask(mask))]:
        np.testing.assert_array_equal(divergence(*masked), [whole[0], 0.0])
    np.testing.assert_array_equal(divergence(q.mask(False), p.mask(False)), [0.0, 0.0])
    np.testing.assert_array_equal(divergence(q.mask(mask).to_event(1), p.to_event(1)), whole[0])


def test_gaussian_rules_broadcast_over_batches():
    q = dist.LowRankMultivariateNormal(A(LOC[0]), A(FACTOR[0]), A(VARIANCE[0]))
    p = full(A(LOC[1][0]), A(TRIL[0, 0]))
    both = divergence(q, p), divergence(p, q)
    assert both[0].shape == both[1].shape == (3,)
    single = dist.LowRankMultivariateNormal(A(LOC[0][2]), A(FACTOR[0][2]), A(VARIANCE[0][2]))
    np.testing.assert_allclose(both[0][2], divergence(single, p), rtol=100 * EPS)
    np.testing.assert_allclose(both[1][2], divergence(p, single), rtol=100 * EPS)


def test_per_dimension_adds_up_to_the_whole():
    q = dist.Normal(A(LOC[0]), 0.7).to_event(2)
    p = dist.Normal(0.0, 1.0).expand((3, 3)).to_event(2)
    parts = kl_per_dimension(q, p)
    assert parts.shape == (9,)
    np.testing.assert_allclose(parts.sum(), divergence(q, p), rtol=100 * EPS)
    np.testing.assert_allclose(
        parts[5], divergence(dist.Normal(A(LOC[0][1, 2]), 0.7), dist.Normal(0.0, 1.0))
    )
    assert kl_per_dimension(dist.Normal(0.0, 1.0), dist.Normal(1.0, 1.0)).shape == (1,)
    assert kl_per_dimension(full(jnp.zeros(3), jnp.eye(3)), diagonal(jnp.zeros(3), 1.0)) is None
    assert kl_per_dimension(dist.Dirichlet(jnp.ones(3)), dist.Dirichlet(jnp.ones(3))) is None
    assert kl_per_dimension(dist.Normal(0.0, 1.0), dist.StudentT(3.0)) is None


def test_how_a_distribution_is_drawn_does_not_matter():
    base, p = dist.Exponential(A([0.5, 2.0])), dist.Gamma(A([1.0, 2.0]), 1.0)
    expected = divergence(base, p)
    np.testing.assert_allclose(divergence(InverseCDF(base), p), expected, rtol=ROUNDING)
    for q in (InverseCDF(base).to_event(1), InverseCDF(base.to_event(1))):
        np.testing.assert_allclose(divergence(q, p.to_event(1)), expected.sum(), rtol=ROUNDING)
        np.testing.assert_allclose(kl_per_dimension(q, p.to_event(1)), expected, rtol=ROUNDING)


def test_inherited_families_keep_their_rule():
    chi2, gamma = dist.Chi2(A(3.0)), dist.Gamma(A(1.5), A(0.5))
    np.testing.assert_allclose(divergence(chi2, gamma), 0.0, atol=64 * EPS)


def test_float32_agrees_with_float64():
    args = (0.3, 1.7), (-0.4, 0.9)
    exact = float(divergence(*(dist.Normal(*a) for a in args)))
    single = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), args)
    value = divergence(*(dist.Normal(*a) for a in single))
    assert value.dtype == jnp.float32
    terms = 0.5 * ((1.7 / 0.9) ** 2 + (0.7 / 0.9) ** 2 + 1) + math.log(1.7 / 0.9)
    assert abs(float(value) - exact) <= 8 * np.finfo(np.float32).eps * terms


# --- the number with its error ------------------------------------------------------------------


def test_closed_form_is_an_exact_estimate():
    estimate = kl(dist.Normal(1.0, 1.0), dist.Normal(0.0, 1.0))
    assert (estimate.side, estimate.mc_error, estimate.unit) == ("exact", 0.0, "nats")
    np.testing.assert_allclose(estimate.value, 0.5, rtol=8 * EPS)


def test_sampled_is_unbiased_within_five_standard_errors():
    q, p = dist.Weibull(A([1.0, 2.0]), A([1.5, 0.9])), dist.HalfNormal(A([1.0, 3.0]))
    estimate = kl(q, p, jax.random.key(0), num_draws=20_000)
    expected = HALF_LINE(q, p)[0].mean()
    assert (estimate.side, estimate.count) == ("unbiased", 2)
    assert abs(estimate.value - expected) < 5 * estimate.mc_error
    planted = HALF_LINE(q, dist.HalfNormal(A([1.5, 3.0])))[0].mean()
    assert abs(estimate.value - planted) > 5 * estimate.mc_error


def test_a_point_among_large_counts_keeps_its_digits_in_float32():
    """log p(n) of a Poisson distribution whose mean is n, from SciPy in float64."""
    count = 9_000_000.0
    with jax.enable_x64(False):
        found = closed_kl(dist.Delta(jnp.asarray(count)), dist.Poisson(count))
    np.testing.assert_allclose(found, -scipy.stats.poisson.logpmf(count, count), rtol=1e-5)


def test_sampled_is_right_where_a_tail_probability_underflows():
    """From a uniform distribution to a normal one that is cut off 40 standard deviations out."""
    low, width = 40.0, 0.05
    found = kl(dist.Uniform(low, low + width), dist.TruncatedNormal(low=low), jax.random.key(0))
    log_p = -(low**2 + low * width + width**2 / 3) / 2 - math.log(2 * math.pi) / 2
    wanted = -math.log(width) - log_p + scipy.stats.norm.logsf(low)
    assert abs(found.value - wanted) < 5 * found.mc_error


def test_sampled_is_infinite_where_draws_leave_the_support():
    estimate = kl(dist.Normal(0.0, 1.0), dist.Gamma(2.0, 1.0), jax.random.key(0))
    assert estimate.value == np.inf
    assert math.isnan(estimate.mc_error)
    assert estimate.flags == {"support not covered", "not finite"}


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: kl(dist.Cauchy(0.0, 1.0).expand((2,)).to_event(1), diagonal(jnp.zeros(2), 1.0)),
            r"kl: expected a random key .* none for Cauchy to Normal. Try kl\(q, p, ",
        ),
        (
            lambda: kl(
                dist.Cauchy(0.0, 1.0), dist.Normal(0.0, 1.0), jax.random.key(0), num_draws=1
            ),
            "num_draws: expected at least 2 draws, got 1",
        ),
        (
            lambda: kl(dist.Poisson(1.0), dist.Normal(0.0, 1.0), jax.random.key(0)),
            "kl: expected two mass functions or two densities, got Poisson to Normal",
        ),
        (
            lambda: closed_kl(diagonal(jnp.zeros(2), 1.0), diagonal(jnp.zeros(1), 1.0)),
            r"kl: expected two distributions over one space, got event shapes \(2,\) and \(1,\)",
        ),
        (
            lambda: closed_kl(dist.Normal(jnp.zeros(2), 1.0), dist.Normal(jnp.zeros(3), 1.0)),
            r"kl: expected batch shapes that broadcast, got \(2,\) and \(3,\)",
        ),
        (
            lambda: kl_per_dimension(dist.Normal(jnp.zeros(2), 1.0), dist.Normal(0.0, 1.0)),
            r"kl_per_dimension: expected distributions over one latent \(batch shape \(\)\)",
        ),
        (
            lambda: closed_kl(
                dist.Categorical(logits=jnp.zeros(2)), dist.Categorical(logits=jnp.zeros(3))
            ),
            "kl: expected as many categories in q as in p, got 2 and 3",
        ),
        (
            lambda: jax.jit(lambda m: kl(dist.Normal(m, 1.0), dist.Normal(0.0, 1.0)).value)(0.0),
            "kl: expected concrete parameters, got traced ones. Try `closed_kl`",
        ),
    ],
)
def test_messages(call: Callable[[], Any], message: str):
    with pytest.raises(InputError, match=message):
        call()
