"""Six kinds of latent-variable model, each in about thirty lines, made of nothing but the contract.

Each one comes with its log-density, its guide's log-density and its evidence written by hand in NumPy
and SciPy, and with a list of which parameter enters the log-weight through which slot.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from layered_skeletons import ladder, vamp
from program_skeletons import subsampled_program, whole_program
from scipy.special import expit
from scipy.stats import bernoulli, norm
from skeleton import Skeleton, integral

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractModel,
    Datum,
    Dirac,
    Enumerated,
    Pair,
)


class Decoder(AbstractModel):
    weight: Any
    bias: Any

    def terms(self, datum, z):
        logits = self.weight @ jnp.tanh(z) + self.bias
        log_prior = dist.Normal(0.0, 1.0).log_prob(z)
        return {
            LOG_LIKELIHOOD: dist.Bernoulli(logits=logits).log_prob(datum.x).sum(),
            LOG_PRIOR: log_prior,
        }

    def kl(self, datum, q: Any, z):
        return dist.kl_divergence(q.distribution.base_dist, dist.Normal(0.0, 1.0))


class Encoder(eqx.Module):
    weight: Any
    log_scale: Any

    def __call__(self, datum):
        return dist.Normal(self.weight @ datum.x, jnp.exp(self.log_scale)).to_event(1)


def vae() -> Skeleton:
    def log_p(pair, datum, z):
        logits = np.tanh(z) @ pair.model.weight.T + pair.model.bias
        log_likelihood = bernoulli.logpmf(datum.x, expit(logits)).sum(-1)
        return log_likelihood + norm.logpdf(z).sum(-1)

    def log_q(pair, datum, z):
        scale = np.exp(pair.guide.log_scale)
        return norm.logpdf(z, pair.guide.weight @ datum.x, scale).sum()

    return Skeleton(
        pair=Pair(
            Decoder(
                weight=jnp.array([[1.0, -0.5], [0.3, 0.8], [-0.7, 0.4]]),
                bias=jnp.array([0.1, -0.2, 0.3]),
            ),
            Encoder(
                weight=jnp.array([[0.4, 0.1, -0.3], [-0.2, 0.3, 0.2]]),
                log_scale=jnp.array([-0.4, 0.3]),
            ),
        ),
        data=Datum(x=jnp.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])),
        log_p=log_p,
        log_q=log_q,
        log_evidence=lambda pair, datum: integral(lambda z: log_p(pair, datum, z), 2),
        enters={
            ".model.weight": {"model"},
            ".model.bias": {"model"},
            ".guide.weight": {"path", "density"},
            ".guide.log_scale": {"path", "density"},
        },
    )


# A flow with one layer: z = u + tanh(u) / 2 with u = scale x + shift, cell by cell.


class FlowBase(AbstractModel):
    loc: Any

    def terms(self, datum, z):
        return {LOG_PRIOR: dist.Normal(self.loc, 1.0).log_prob(z).sum()}


class FlowLayer(eqx.Module):
    log_scale: Any
    shift: Any

    def __call__(self, datum):
        u = jnp.exp(self.log_scale) * datum.x + self.shift
        log_slope = jnp.log1p(0.5 * (1.0 - jnp.tanh(u) ** 2))
        return Dirac(u + 0.5 * jnp.tanh(u), self.log_scale + log_slope)


def flow() -> Skeleton:
    def log_q(pair, datum, z):
        u = np.exp(pair.guide.log_scale) * datum.x + pair.guide.shift
        slope = np.exp(pair.guide.log_scale) * (1.0 + 0.5 / np.cosh(u) ** 2)
        return -np.log(slope).sum()

    def log_evidence(pair, datum):
        # The slope of the distribution function of x, which is that of z at f(x).
        def log_cdf_slope(x, j, h=1e-4):
            def cdf(x):
                u = np.exp(pair.guide.log_scale[j]) * x + pair.guide.shift[j]
                return norm.cdf(u + 0.5 * np.tanh(u), pair.model.loc[j])

            ahead, far = cdf(x + h) - cdf(x - h), cdf(x + 2 * h) - cdf(x - 2 * h)
            return np.log((8.0 * ahead - far) / (12.0 * h))

        return float(sum(log_cdf_slope(x, j) for j, x in enumerate(np.asarray(datum.x))))

    return Skeleton(
        pair=Pair(
            FlowBase(loc=jnp.array([0.2, -0.1])),
            FlowLayer(log_scale=jnp.array([0.3, -0.2]), shift=jnp.array([-0.4, 0.5])),
        ),
        data=Datum(x=jnp.array([[0.3, -1.1], [1.2, 0.4], [-0.5, 0.9]])),
        log_p=lambda pair, datum, z: norm.logpdf(z, pair.model.loc).sum(),
        log_q=log_q,
        log_evidence=log_evidence,
        enters={
            ".model.loc": {"model"},
            ".guide.log_scale": {"guide"},
            ".guide.shift": {"guide"},
        },
    )


# A mixture of two Gaussians whose component is summed out: every outcome is drawn with its mass.


class TwoComponents(AbstractModel):
    logit: Any
    means: Any

    def terms(self, datum, z):
        log_prior = jax.nn.log_softmax(jnp.stack([jnp.zeros(()), self.logit]))
        return {
            LOG_LIKELIHOOD: dist.Normal(self.means[z], 1.0).log_prob(datum.x),
            LOG_PRIOR: log_prior[z],
        }


class Responsibility(eqx.Module):
    slope: Any
    intercept: Any

    def __call__(self, datum):
        logit = self.slope * datum.x + self.intercept
        return Enumerated(jnp.arange(2), jax.nn.log_softmax(jnp.stack([jnp.zeros(()), logit])))


def mixture() -> Skeleton:
    def log_p(pair, datum, z):
        share = expit(pair.model.logit)
        return np.log(np.where(z == 1, share, 1 - share)) + norm.logpdf(
            datum.x, pair.model.means[z]
        )

    def log_q(pair, datum, z):
        share = expit(pair.guide.slope * datum.x + pair.guide.intercept)
        return np.log(np.where(z == 1, share, 1 - share))

    return Skeleton(
        pair=Pair(
            TwoComponents(logit=jnp.array(0.4), means=jnp.array([-1.0, 1.5])),
            Responsibility(slope=jnp.array(0.9), intercept=jnp.array(-0.3)),
        ),
        data=Datum(x=jnp.array([-0.5, 0.4, 2.0])),
        log_p=log_p,
        log_q=log_q,
        log_evidence=lambda pair, datum: float(
            np.log(sum(np.exp(log_p(pair, datum, z)) for z in (0, 1)))
        ),
        enters={
            ".model.logit": {"model"},
            ".model.means": {"model"},
            ".guide.slope": {"path", "density"},
            ".guide.intercept": {"path", "density"},
        },
    )


# A ladder of two levels: model and guide share the top-down path, the KL is closed given the upper draw.


SKELETONS = {
    "vae": vae,
    "flow": flow,
    "mixture": mixture,
    "ladder": ladder,
    "vamp": vamp,
    "program": whole_program,
    "subsampled_program": subsampled_program,
}
