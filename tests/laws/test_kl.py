"""Laws of the divergence, over every rule that the library has.

Reference values come from E_q[log q - log p] by enumeration, double-exponential quadrature or exact
cubature, with log-densities that no rule uses. The registry below must name every rule.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import discrete
from numpyro.distributions.kl import kl_divergence

from taut.core import InputError
from taut.distributions import ContinuousBernoulli, InverseCDF, closed_kl, kl, kl_per_dimension
from taut.distributions.gaussian_kl import GAUSSIANS
from taut.distributions.kl_rules import RULES

pytestmark = pytest.mark.usefixtures("float64")

EPS = np.finfo(np.float64).eps
A = jnp.asarray


class Record(NamedTuple):
    """One rule and how to check it.

    Attributes:
        q, p: constructors of a batch of distributions, one for each parameter point.
        q_args, p_args: those parameters.
        reference: E_q[log q - log p] of such a pair, with a bound on its own error.
        families: the pair of families that the rule is registered for.
        equal: arguments at which both sides are the same distributions.
    """

    q: Callable[..., Any]
    p: Callable[..., Any]
    q_args: tuple[Any, ...]
    p_args: tuple[Any, ...]
    reference: Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]
    families: tuple[Any, Any]
    equal: tuple[tuple[Any, ...], tuple[Any, ...]]

    @property
    def name(self) -> str:
        return f"{self.families[0].__name__}-{self.families[1].__name__}"

    @property
    def args(self) -> tuple[Any, Any]:
        """Both arguments as arrays, made inside a test so that they are float64."""
        return jax.tree.map(jnp.asarray, (self.q_args, self.p_args))

    @property
    def equal_args(self) -> tuple[Any, Any]:
        return jax.tree.map(jnp.asarray, self.equal)

    @property
    def pair(self) -> tuple[Any, Any]:
        return jax.jit(lambda args: (self.q(*args[0]), self.p(*args[1])))(self.args)


@functools.cache
def compiled(name: str) -> Callable[[tuple[Any, Any]], tuple[Any, Any]]:
    """The rule of that record with its gradient, compiled once for all laws."""
    record = next(r for r in REGISTRY if r.name == name)

    def rule(args: tuple[Any, Any]) -> tuple[Any, Any]:
        value, pull_back = jax.vjp(lambda a: closed_kl(record.q(*a[0]), record.p(*a[1])), args)
        return value, pull_back(jnp.ones_like(value))[0]

    return jax.jit(rule)


# --- references ---------------------------------------------------------------------------------


def integrand(q: Any, p: Any, x: np.ndarray) -> np.ndarray:
    """q (log q - log p) at x, in numpy; zero where q is zero."""
    log_q, log_p = map(
        np.asarray, jax.jit(lambda x: (q.log_prob(x), p.log_prob(x)))(jnp.asarray(x))
    )
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(log_q > -np.inf, np.exp(log_q) * (log_q - log_p), 0.0)


def summed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over the first axis and a bound on its rounding error.

    Nodes and weights are exponentials of numbers below 100, hence good to 100 units.
    """
    return values.sum(axis=0), 100 * EPS * (np.abs(values).sum(axis=0) + 1.0)


def enumerated(count: int) -> Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]:
    def reference(q: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
        return summed(integrand(q, p, np.arange(count)[:, None]))

    return reference


def nodes(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Double-exponential nodes and weights of every second and of all points, on (low, high)."""
    t = np.linspace(-4.6, 4.6, 801)[:, None]
    growth, slope = np.pi / 2 * np.sinh(t), np.pi / 2 * np.cosh(t) * (t[1] - t[0])
    if np.isinf(low).all() and np.isinf(high).all():
        keep = np.abs(growth) < 300
        return np.sinh(np.where(keep, growth, 0)), np.where(keep, np.cosh(growth) * slope, 0)
    if np.isinf(low).all():
        x, weight = nodes(-high, np.full_like(high, np.inf))
        return -x, weight
    if np.isinf(high).all():
        return low + np.exp(growth), np.exp(growth) * slope
    fraction = 1 / (1 + np.exp(-2 * growth))
    slopes = 2 * slope * fraction / (1 + np.exp(2 * growth))
    inside = (fraction > 0) & (fraction < 1)
    return low + (high - low) * np.where(inside, fraction, 0.5), np.where(
        inside, (high - low) * slopes, 0
    )


def quadrature(
    breaks: Callable[[Any, Any], tuple[Any, ...]],
) -> Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]:
    """Integrate between consecutive breaks; the error is the change when the step is doubled."""

    def reference(q: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
        value, error = np.zeros(q.batch_shape), np.zeros(q.batch_shape)
        points = [np.broadcast_to(np.asarray(b, float), q.batch_shape) for b in breaks(q, p)]
        for low, high in itertools.pairwise(points):
            x, weight = nodes(low, high)
            terms = weight * integrand(q, p, x)
            fine, rounding = summed(terms)
            value += fine
            error += np.abs(fine - 2 * terms[::2].sum(axis=0)) + rounding
        return value, error

    return reference


HALF_LINE = quadrature(lambda q, p: (0.0, np.inf))
UNIT = quadrature(lambda q, p: (0.0, 1.0))


def simplex(q: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature over the simplex in three dimensions, x = (s, (1 - s) t, (1 - s) (1 - t))."""
    x, weight = nodes(np.zeros(1), np.ones(1))
    x, weight = x[::4, 0], 4 * weight[::4, 0]
    s, t = (a[:, None] for a in (np.repeat(x, x.size), np.tile(x, x.size)))
    points = np.stack([s, (1 - s) * t, (1 - s) * (1 - t)], axis=-1)
    points = points / points.sum(axis=-1, keepdims=True)
    inside = (points > 0).all(axis=-1)
    jacobian = np.repeat(weight, x.size)[:, None] * np.tile(weight, x.size)[:, None] * (1 - s)
    terms = jacobian * np.where(
        inside, integrand(q, p, np.where(inside[..., None], points, 1 / 3)), 0.0
    )
    fine, rounding = summed(terms)
    coarse = 4 * terms.reshape(x.size, x.size, -1)[::2, ::2].sum(axis=(0, 1))
    return fine, np.abs(fine - coarse) + rounding


def cubature(q: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Exact for Gaussians: log q - log p is quadratic, and m + L s over all signs s has q's moments."""
    signs = np.asarray(list(itertools.product([-1.0, 1.0], repeat=q.event_shape[0])))
    if isinstance(q, dist.Independent):
        factor = np.asarray(q.base_dist.scale)[..., None] * np.eye(q.event_shape[0])
    else:
        factor = np.linalg.cholesky(np.asarray(q.covariance_matrix))
    z = np.asarray(q.mean) + np.einsum("...ij,sj->s...i", factor, signs)
    values = np.asarray(q.log_prob(z) - p.log_prob(z)) / len(signs)
    value, rounding = summed(values)
    return value, rounding


# --- the registry -------------------------------------------------------------------------------


def arrays(*rows: Any) -> tuple[np.ndarray, ...]:
    return tuple(np.array(row) for row in rows)


def one_family(family: Any, q_args: Any, p_args: Any, reference: Any) -> Record:
    return Record(family, family, q_args, p_args, reference, (family, family), (q_args, q_args))


def two_families(families: Any, q_args: Any, p_args: Any, reference: Any, equal: Any) -> Record:
    return Record(*families, q_args, p_args, reference, families, equal)


def parametrized(families: Any, second: Any, q: Any, p: Any, reference: Any) -> list[Record]:
    """All pairs of two parametrizations; `second` turns the first's parameter into the second's."""

    def args(family: Any, masses: np.ndarray) -> tuple[np.ndarray]:
        return (masses if family is families[0] else second(masses),)

    return [
        two_families((a, b), args(a, q), args(b, p), reference, (args(a, q), args(b, q)))
        for a, b in itertools.product(families, repeat=2)
    ]


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def diagonal(loc: Any, scale: Any) -> Any:
    return dist.Normal(loc, scale).to_event(1)


def full(loc: Any, tril: Any) -> Any:
    return dist.MultivariateNormal(loc, scale_tril=tril)


def gaussian(q: Any, p: Any) -> Record:
    """A pair of forms; both are the same diagonal Gaussians at `equal`."""
    make = {dist.Normal: diagonal, dist.MultivariateNormal: full}
    at: dict[Any, Any] = {
        dist.Normal: lambda i: (LOC[i], np.sqrt(VARIANCE[i])),
        dist.MultivariateNormal: lambda i: (LOC[i], TRIL[i]),
        dist.LowRankMultivariateNormal: lambda i: (LOC[i], FACTOR[i], VARIANCE[i]),
    }
    scale = np.sqrt(VARIANCE[0])
    same = {
        dist.Normal: (LOC[0], scale),
        dist.MultivariateNormal: (LOC[0], scale[..., None] * np.eye(3)),
        dist.LowRankMultivariateNormal: (LOC[0], np.zeros_like(FACTOR[0]), VARIANCE[0]),
    }
    return Record(
        make.get(q, q), make.get(p, p), at[q](0), at[p](1), cubature, (q, p), (same[q], same[p])
    )


# Two batches of three distributions over three dimensions.
rng = np.random.default_rng(0)
LOC = rng.normal(size=(2, 3, 3))
TRIL = np.tril(0.5 * rng.normal(size=(2, 3, 3, 3))) + 1.2 * np.eye(3)
FACTOR = rng.normal(size=(2, 3, 3, 2))
VARIANCE = rng.uniform(0.5, 2.0, size=(2, 3, 3))

RATES = arrays([0.3, 4.0, 2.0])
LOC_SCALES = arrays([0.0, 1.0, -2.0], [1.0, 0.3, 0.9]), arrays([0.5, -1.0, -2.0], [2.0, 0.9, 0.5])
GAMMAS = arrays([0.7, 4.0, 2.0], [1.0, 2.0, 0.3]), arrays([1.5, 0.8, 5.0], [2.0, 1.0, 0.7])
UNIT_RATES = (np.ones(3), *RATES)  # of a gamma, which is then an exponential

REGISTRY: list[Record] = [
    *parametrized(
        (discrete.BernoulliProbs, discrete.BernoulliLogits),
        logit,
        *arrays([0.2, 0.9, 0.5], [0.6, 0.8, 0.01]),
        enumerated(2),
    ),
    *parametrized(
        (discrete.CategoricalProbs, discrete.CategoricalLogits),
        lambda p: np.log(p) + 3.0,
        *arrays([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], [[0.6, 0.3, 0.1], [0.05, 0.9, 0.05]]),
        enumerated(3),
    ),
    *parametrized(
        (discrete.GeometricProbs, discrete.GeometricLogits),
        logit,
        *arrays([0.2, 0.9, 0.5], [0.6, 0.8, 0.3]),
        enumerated(300),
    ),
    one_family(dist.Poisson, arrays([0.3, 4.0, 9.0]), arrays([2.0, 3.0, 11.0]), enumerated(200)),
    one_family(dist.Exponential, RATES, arrays([2.0, 3.0, 0.4]), HALF_LINE),
    one_family(dist.Gamma, *GAMMAS, HALF_LINE),
    two_families((dist.Exponential, dist.Gamma), RATES, GAMMAS[1], HALF_LINE, (RATES, UNIT_RATES)),
    two_families((dist.Gamma, dist.Exponential), GAMMAS[1], RATES, HALF_LINE, (UNIT_RATES, RATES)),
    two_families(
        (dist.Weibull, dist.Gamma),  # scale and shape; an exponential at shape 1
        arrays([1.0, 2.0, 0.5], [1.5, 0.8, 3.0]),
        GAMMAS[1],
        HALF_LINE,
        ((1 / RATES[0], np.ones(3)), UNIT_RATES),
    ),
    one_family(dist.Normal, *LOC_SCALES, quadrature(lambda q, p: (-np.inf, q.loc, np.inf))),
    one_family(dist.LogNormal, *LOC_SCALES, HALF_LINE),
    one_family(
        dist.Laplace,
        *LOC_SCALES,
        quadrature(
            lambda q, p: (-np.inf, np.minimum(q.loc, p.loc), np.maximum(q.loc, p.loc), np.inf)
        ),
    ),
    one_family(
        dist.Uniform,
        arrays([0.0, 1.0, -2.0], [1.0, 3.0, 2.0]),
        arrays([-1.0, 1.0, -2.5], [2.0, 4.0, 2.0]),
        quadrature(lambda q, p: (q.low, q.high)),
    ),
    one_family(
        dist.Beta,
        arrays([1.5, 3.0, 0.8], [2.0, 1.0, 4.0]),
        arrays([1.0, 2.0, 5.0], [0.7, 2.0, 2.0]),
        UNIT,
    ),
    one_family(
        dist.Dirichlet,
        arrays([[1.5, 2.0, 3.0], [2.0, 1.2, 5.0]]),
        arrays([[2.5, 1.0, 1.5], [1.0, 4.0, 2.0]]),
        simplex,
    ),
    one_family(ContinuousBernoulli, arrays([-3.0, 0.0, 0.3]), arrays([2.0, -0.2, 8.0]), UNIT),
    *(
        gaussian(*pair)
        for pair in itertools.product(GAUSSIANS, repeat=2)
        if pair != (dist.Normal, dist.Normal)  # the univariate rule serves these
    ),
    Record(
        diagonal,
        lambda loc, rfft: dist.CirculantNormal(loc, covariance_rfft=rfft),
        (LOC[0], np.sqrt(VARIANCE[0])),
        (LOC[1], VARIANCE[1][:, :2]),
        cubature,
        (dist.Independent, dist.CirculantNormal),
        ((LOC[0], np.full((3, 3), 1.5)), (LOC[0], np.full((3, 2), 1.5**2))),
    ),
]

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


# Formulas add terms of size up to 100, each with its rounding error of a few units.
ROUNDING = 1000 * EPS


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


def test_sampled_is_infinite_where_draws_leave_the_support():
    estimate = kl(dist.Normal(0.0, 1.0), dist.Gamma(2.0, 1.0), jax.random.key(0))
    assert estimate.value == np.inf
    assert math.isnan(estimate.mc_error)
    assert estimate.flags == {"support not covered"}


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
