"""Every rule of the divergence, with parameters to check it at and a reference value.

Reference values come from E_q[log q - log p] by enumeration, double-exponential quadrature or exact
cubature, with log-densities that no rule uses.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import discrete

from taut.distributions import ContinuousBernoulli, closed_kl
from taut.distributions.gaussian_kl import GAUSSIANS

EPS = np.finfo(np.float64).eps
A = jnp.asarray
# Formulas add terms of size up to 100, each with its rounding error of a few units.
ROUNDING = 1000 * EPS


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
