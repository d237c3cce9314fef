"""Models whose evidence is known, with a guide and rows: what `evidence_oracles.py` measures.

    linear-gaussian     PPCA with a mean-field guide beside its posterior, 2, 10 and 50 latents
    discrete            six bits behind ten binary cells, summed over all 64 codes
    exponential-normal  a positive latent, with a closed evidence
    mixture             two Gaussians far apart, and a guide that covers both badly
    missed mode         the same with a guide on one of the two
    heavy tails         Student's t with three degrees of freedom, and a Gaussian guide
    funnel              nine latents whose scale is the exponential of a tenth
    spike               90 % of the mass in a spike inside of a slab: tempering has a phase transition
    spike of the prior  the same where the prior has it, and so have the latents that make rows

Truths are closed, sums, or quadrature in one dimension.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.special
import scipy.stats

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, Pair
from taut.guides import ExponentialGuide
from taut.models import ExponentialNormal, ProbabilisticPCA

EASY = ("linear-gaussian 2", "linear-gaussian 10", "discrete", "exponential-normal")
"""Guides near their posteriors, from which every method should go unflagged."""


class Oracle(NamedTuple):
    """Rows whose log p(x) is known, (N,)."""

    pair: Pair
    rows: Datum
    known: np.ndarray


class Beside(eqx.Module):
    """The posterior's mean, moved, and a multiple of its scales, without its correlations."""

    model: Any
    widen: float = eqx.field(static=True)
    shift: float = eqx.field(static=True)

    def __call__(self, datum):
        exact = self.model.posterior(datum)
        scale = jnp.sqrt(exact.variance)
        return dist.Normal(exact.mean + self.shift * scale, self.widen * scale).to_event(1)


class Independent(AbstractModel):
    """p(z) = prod_d p(z_d) and no data: x is the offset of log p(x), which is known."""

    log_prior: Any = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def terms(self, datum, z):
        # The prior of the path is broad; the density of the oracle is prior times likelihood.
        broad = self.prior().log_prob(z)
        return {LOG_LIKELIHOOD: datum.x + self.log_prior(z) - broad, LOG_PRIOR: broad}

    def prior(self):
        return dist.Normal(jnp.zeros(self.size), 2 * jnp.ones(self.size)).to_event(1)


class Wide(eqx.Module):
    """N(loc, scale^2 I), whatever the datum."""

    size: int = eqx.field(static=True)
    loc: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __call__(self, datum):
        loc, scale = (jnp.full(self.size, value) for value in (self.loc, self.scale))
        return dist.Normal(loc, scale).to_event(1)


class Bits(AbstractModel):
    """z_d ~ Bernoulli(1/2), x_i | z ~ Bernoulli(sigmoid(W z + b))."""

    weight: Any
    bias: Any

    def terms(self, datum, z):
        logits = self.weight @ z.astype(self.weight.dtype) + self.bias
        likelihood: Any = dist.Bernoulli(logits=logits).to_event(1)
        return {
            LOG_LIKELIHOOD: likelihood.log_prob(datum.x),
            LOG_PRIOR: self.prior().log_prob(z),
        }

    def prior(self) -> Any:
        return dist.Bernoulli(logits=jnp.zeros(self.weight.shape[1])).to_event(1)


CODES = np.array(list(itertools.product((0.0, 1.0), repeat=6)))


class Marginals(eqx.Module):
    """Each bit by its own posterior, a tenth of the way to a fair coin."""

    model: Bits

    def __call__(self, datum):
        codes = jnp.asarray(CODES, float)
        log_joint = jax.vmap(lambda z: self.model.log_joint(datum, z))(codes)
        return dist.Bernoulli(0.05 + 0.9 * jax.nn.softmax(log_joint) @ codes).to_event(1)


class Spike(AbstractModel):
    """z ~ 0.9 N(1, 0.05^2 I) + 0.1 N(0, I), x ~ N(0, 1): what makes rows is in the spike."""

    size: int = eqx.field(static=True)

    def terms(self, datum, z):
        likelihood, prior = dist.Normal(0.0, 1.0), self.prior()
        return {LOG_LIKELIHOOD: likelihood.log_prob(datum.x), LOG_PRIOR: prior.log_prob(z)}

    def prior(self) -> Any:
        loc = jnp.stack([jnp.ones(self.size), jnp.zeros(self.size)])
        scale = jnp.array([0.05, 1.0])[:, None] * jnp.ones(self.size)
        weights = dist.Categorical(probs=jnp.array([0.9, 0.1]))
        return dist.MixtureSameFamily(weights, dist.Normal(loc, scale).to_event(1))

    def sample(self, z, key):
        return jax.random.normal(key, ())

    def log_evidence(self, datum):
        return dist.Normal(0.0, 1.0).log_prob(datum.x)


def linear_gaussian(size: int, rows: int) -> Oracle:
    generator = np.random.default_rng(size)
    loadings = generator.normal(size=(2 * size, size)) / math.sqrt(size)
    model = ProbabilisticPCA(
        center=jnp.zeros(2 * size), loadings=jnp.asarray(loadings, float),
        log_variance=jnp.asarray(-1.0),
    )  # fmt: skip
    covariance = loadings @ loadings.T + math.exp(-1.0) * np.eye(2 * size)
    x = generator.multivariate_normal(np.zeros(2 * size), covariance, size=rows)
    known = scipy.stats.multivariate_normal(np.zeros(2 * size), covariance).logpdf(x)
    return Oracle(Pair(model, Beside(model, 1.1, 0.2)), Datum(jnp.asarray(x, float)), known)


def discrete(rows: int) -> Oracle:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(10, 6)), generator.normal(size=10)
    logits = CODES @ weight.T + bias
    chosen = logits[generator.integers(64, size=rows)]
    x = (generator.random(chosen.shape) < scipy.special.expit(chosen)).astype(float)
    by_code = np.sum(
        scipy.special.log_expit(np.where(x[:, None] == 1, logits, -logits)), axis=-1
    )  # (N, 64)
    known = scipy.special.logsumexp(by_code, axis=1) - math.log(64)
    model = Bits(jnp.asarray(weight, float), jnp.asarray(bias, float))
    return Oracle(Pair(model, Marginals(model)), Datum(jnp.asarray(x, float)), known)


def exponential(rows: int) -> Oracle:
    model = ExponentialNormal.at(0.7)
    x = np.random.default_rng(0).exponential(1 / 0.7, rows)
    x = x + np.random.default_rng(1).normal(size=rows)
    data = Datum(jnp.asarray(x, float))
    known = np.asarray(jax.vmap(model.log_evidence)(data), np.float64)
    return Oracle(Pair(model, ExponentialGuide.at(0.6)), data, known)


def alike(log_density: Callable[[Any], Any], guide: Wide, rows: int) -> Oracle:
    """A normalised density as posterior of rows that differ in their evidence alone."""
    x = np.linspace(-3.0, 3.0, rows)
    return Oracle(
        Pair(Independent(log_density, guide.size), guide), Datum(jnp.asarray(x, float)), x
    )


def _mixture(z):
    ends = [jnp.sum(dist.Normal(m, 1.0).log_prob(z)) for m in (-2.0, 2.0)]
    return jnp.logaddexp(*ends) - math.log(2.0)


def _tails(z):
    return jnp.sum(dist.StudentT(3.0, 0.0, 1.0).log_prob(z))


def _funnel(z):
    scale = jnp.exp(z[0])
    return dist.Normal(0.0, 1.0).log_prob(z[0]) + jnp.sum(dist.Normal(0.0, scale).log_prob(z[1:]))


def _spike(z):
    slab = math.log(0.1) + jnp.sum(dist.Normal(0.0, 1.0).log_prob(z))
    spike = math.log(0.9) + jnp.sum(dist.Normal(1.0, 0.05).log_prob(z))
    return jnp.logaddexp(slab, spike)


def spike_of_the_prior(rows: int) -> Oracle:
    x = np.random.default_rng(0).normal(size=rows)
    known = scipy.stats.norm.logpdf(x)
    return Oracle(Pair(Spike(10), Wide(10, 0.0, 1.0)), Datum(jnp.asarray(x, float)), known)


ORACLES: dict[str, Callable[[int], Oracle]] = {
    **{f"linear-gaussian {d}": lambda rows, d=d: linear_gaussian(d, rows) for d in (2, 10, 50)},
    "discrete": discrete,
    "exponential-normal": exponential,
    "mixture": lambda rows: alike(_mixture, Wide(4, 0.0, 2.5), rows),
    "missed mode": lambda rows: alike(_mixture, Wide(4, 2.0, 1.1), rows),
    "heavy tails": lambda rows: alike(_tails, Wide(4, 0.0, 1.3), rows),
    "funnel": lambda rows: alike(_funnel, Wide(10, 0.0, 1.2), rows),
    "spike": lambda rows: alike(_spike, Wide(10, 0.0, 1.0), rows),
    "spike of the prior": spike_of_the_prior,
}
GENERATIVE = (*(f"linear-gaussian {d}" for d in (2, 10, 50)), "spike of the prior")
"""Of which rows can be simulated, with an evidence of their own."""
