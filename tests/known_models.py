"""Models whose evidence is known without the library, and guides that are fed their draws.

Closed forms and integrals are written in NumPy and SciPy, so that they are a second route to what taut
computes. A guide wrapped in `FedGuide` draws z = path(q, noise) at noise that the test chooses: the
expectation over draws becomes a quadrature over noise, or an enumeration of tuples.
"""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.special
import scipy.stats

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    AbstractProposal,
    Datum,
    Draws,
    Enumerated,
    as_proposal,
    equal_mass,
)
from taut.distributions import proposal_kl


class ConjugateGaussian(AbstractModel):
    """z ~ N(0, 1), x | z ~ N(loading z + shift, exp(log_noise)^2); everything is scalar."""

    loading: Any
    shift: Any
    log_noise: Any

    def terms(self, datum, z):
        mean, noise = self.loading * z + self.shift, jnp.exp(self.log_noise)
        return {
            LOG_LIKELIHOOD: dist.Normal(mean, noise).log_prob(datum.x),
            LOG_PRIOR: self.prior().log_prob(z),
        }

    def kl(self, datum, q: Any, z):
        if isinstance(getattr(q, "distribution", None), dist.Normal):
            return dist.kl_divergence(q.distribution, self.prior())[None]
        return None

    def prior(self):
        return dist.Normal(jnp.zeros(()), jnp.ones(()))

    def log_evidence(self, x: float) -> float:
        """log N(x; shift, loading^2 + noise^2), by SciPy."""
        return float(scipy.stats.norm.logpdf(x, float(self.shift), self._evidence_scale()))

    def posterior(self, x: float) -> tuple[float, float]:
        """Mean and standard deviation of p(z | x), by completing the square."""
        noise = np.exp(float(self.log_noise))
        precision = 1.0 + (float(self.loading) / noise) ** 2
        mean = float(self.loading) * (x - float(self.shift)) / noise**2 / precision
        return mean, float(1.0 / np.sqrt(precision))

    def _evidence_scale(self) -> float:
        return float(np.hypot(float(self.loading), np.exp(float(self.log_noise))))


class NormalGuide(eqx.Module):
    """q(z | x) = N(slope x + intercept, exp(log_scale)^2), scalar."""

    slope: Any
    intercept: Any
    log_scale: Any

    def __call__(self, datum):
        return dist.Normal(self.slope * datum.x + self.intercept, jnp.exp(self.log_scale))


class LinearGaussian(AbstractModel):
    """z ~ N(0, I), x | z ~ N(loadings z, noise^2 I): probabilistic PCA around zero."""

    loadings: Any
    noise: float = eqx.field(static=True)

    def terms(self, datum, z):
        return {
            LOG_LIKELIHOOD: dist.Normal(self.loadings @ z, self.noise).log_prob(datum.x).sum(),
            LOG_PRIOR: self.prior().log_prob(z),
        }

    def prior(self):
        return dist.Normal(0.0, 1.0).expand([self.loadings.shape[1]]).to_event(1)

    def kl(self, datum, q: Any, z):
        return proposal_kl(q, as_proposal(self.prior()), z)

    def mean(self, z):
        return self.loadings @ z

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Of each row, by SciPy."""
        loadings = np.asarray(self.loadings)
        covariance: Any = loadings @ loadings.T + self.noise**2 * np.eye(len(loadings))
        return scipy.stats.multivariate_normal(cov=covariance).logpdf(x)

    def precision(self) -> np.ndarray:
        """L, of every posterior."""
        loadings = np.asarray(self.loadings)
        return np.eye(loadings.shape[1]) + loadings.T @ loadings / self.noise**2

    def posterior_means(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.solve(
            self.precision(), np.asarray(self.loadings).T @ x.T / self.noise**2
        ).T


class LinearGuide(eqx.Module):
    """q(z | x) = N(weight x, L L^T), or with scales in place of L independent in each dimension."""

    weight: Any
    scale: Any

    def __call__(self, datum):
        if self.scale.ndim == 1:
            return dist.Normal(self.weight @ datum.x, self.scale).to_event(1)
        return dist.MultivariateNormal(self.weight @ datum.x, scale_tril=self.scale)


class TableModel(AbstractModel):
    """z in {0..M-1}, x in {0..N-1}, both as tables of logits."""

    prior_logits: Any
    likelihood_logits: Any

    def terms(self, datum, z):
        return {
            LOG_LIKELIHOOD: jax.nn.log_softmax(self.likelihood_logits, axis=1)[z, datum.x],
            LOG_PRIOR: jax.nn.log_softmax(self.prior_logits)[z],
        }

    def kl(self, datum, q: Any, z):
        log_q = q.log_q if isinstance(q, Enumerated) else jax.nn.log_softmax(q.distribution.logits)
        ratio = log_q - jax.nn.log_softmax(self.prior_logits)
        return jnp.sum(jnp.exp(log_q) * ratio)[None]

    def log_joint_table(self) -> np.ndarray:
        """log p(x, z) as an (M, N) array, by SciPy."""
        return (
            scipy.special.log_softmax(np.asarray(self.likelihood_logits), axis=1)
            + (scipy.special.log_softmax(np.asarray(self.prior_logits))[:, None])
        )


class EnumeratedGuide(eqx.Module):
    """q(z | x) as a table of logits over M outcomes, every one of them drawn with its mass."""

    logits: Any

    def __call__(self, datum):
        return Enumerated(jnp.arange(self.logits.shape[0]), jax.nn.log_softmax(self.logits))


class CategoricalGuide(eqx.Module):
    """The same table with independent draws of equal mass."""

    logits: Any

    def __call__(self, datum):
        return dist.Categorical(logits=self.logits)


class Fed(AbstractProposal):
    """A distribution whose k-th draw is path(distribution, noise_k)."""

    distribution: Any
    noise: Any
    path: Callable = eqx.field(static=True)
    masses: Any = None

    @property
    def reparameterized(self):
        return True

    def draw(self, key, num_particles):
        z = jax.vmap(lambda noise: self.path(self.distribution, noise))(self.noise)
        log_mass = equal_mass(self.noise.shape[0]) if self.masses is None else jnp.log(self.masses)
        return Draws(z, log_mass)

    def terms(self, z):
        return {NEG_LOG_Q: -self.distribution.log_prob(z)}


class FedGuide(eqx.Module):
    """`guide` with its draws taken at the given noise, (K, ...), with equal or given masses (K,)."""

    guide: Any
    noise: Any
    path: Callable = eqx.field(static=True)
    masses: Any = None

    def __call__(self, datum):
        q: Any = as_proposal(self.guide(datum))
        return Fed(q.distribution, self.noise, self.path, self.masses)


def location_scale(q: Any, noise: Any) -> Any:
    """z = loc + scale eps, the path of a Normal."""
    return q.loc + q.scale * noise


def given(q: Any, z: Any) -> Any:
    """z itself: draws that do not depend on the parameters."""
    return z


def datum(x: Any) -> Datum:
    """One row without anything else."""
    return Datum(x=jnp.asarray(x))


def log_sum(log_terms: Any, *, weights: Any = None) -> float:
    """The logarithm of a weighted sum of exponentials, by SciPy."""
    return float(np.squeeze(np.asarray(scipy.special.logsumexp(log_terms, b=weights))))


def gauss_hermite(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights that average polynomials of degree 2 order - 1 under N(0, 1) exactly."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return nodes, weights / weights.sum()


def trapezoid(low: float, high: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an integral over the line of a function that has decayed at the ends.

    The error falls like exp(-2 pi a / step) for a function that is analytic in a strip of half-width a
    (Trefethen and Weideman 2014, theorem 5.1): no other rule of this size is more exact here.
    """
    nodes = np.arange(low, high + step / 2, step)
    return nodes, np.full(nodes.shape, step)


def normal_rule(step: float = 0.1, half_width: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of an average under N(0, 1)."""
    nodes, weights = trapezoid(-half_width, half_width, step)
    return nodes, weights * scipy.stats.norm.pdf(nodes)


def grid(nodes: np.ndarray, weights: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """The tensor product of a rule: nodes (n^dims, dims), weights (n^dims,)."""
    points = np.stack([g.ravel() for g in np.meshgrid(*[nodes] * dims, indexing="ij")], axis=-1)
    products = np.meshgrid(*[weights] * dims, indexing="ij")
    return points, np.prod(np.stack([g.ravel() for g in products]), axis=0)


def tuples(probabilities: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Every K-tuple of independent draws from a finite distribution, with its probability."""
    outcomes = np.array(list(itertools.product(range(len(probabilities)), repeat=length)))
    return outcomes, np.prod(probabilities[outcomes], axis=1)


def counts_of_two(probability: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """How often the second of two outcomes comes up in K draws: draws (K + 1, K), probabilities.

    A function of the draws that ignores their order has its expectation over all 2^K tuples as a sum
    over K + 1 of them.
    """
    ones = np.arange(length + 1)
    draws = (np.arange(length)[None, :] < ones[:, None]).astype(int)
    return draws, scipy.stats.binom.pmf(ones, length, probability)
