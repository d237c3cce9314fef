"""Skeletons of hierarchies and of a prior made by the encoder."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.stats import norm
from skeleton import Skeleton, integral

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    AbstractPair,
    AbstractProposal,
    Datum,
    Draws,
    equal_mass,
)


class LadderModel(AbstractModel):
    top_down: Any
    readout: Any

    def terms(self, datum, z):
        upper, lower = z
        log_prior = [dist.Normal(0.0, 1.0).log_prob(upper), self.lower(upper).log_prob(lower)]
        return {
            LOG_LIKELIHOOD: dist.Normal(self.readout * lower, 0.7).log_prob(datum.x),
            LOG_PRIOR: jnp.stack(log_prior),
        }

    def lower(self, upper):
        return dist.Normal(jnp.tanh(self.top_down * upper), 0.8)

    def kl(self, datum, q: Any, z):
        upper, _ = z
        return jnp.stack(
            [
                dist.kl_divergence(q.upper, dist.Normal(0.0, 1.0)),
                dist.kl_divergence(q.lower(upper), self.lower(upper)),
            ]
        )


class LadderProposal(AbstractProposal):
    upper: dist.Normal
    top_down: Any
    bottom_up: Any

    @property
    def reparameterized(self):
        return True

    def lower(self, upper):
        return dist.Normal(jnp.tanh(self.top_down * upper) + self.bottom_up, 0.6)

    def draw(self, key, num_particles):
        upper_key, lower_key = jax.random.split(key)
        upper = self.upper.sample(upper_key, (num_particles,))
        return Draws((upper, self.lower(upper).sample(lower_key)), equal_mass(num_particles))

    def terms(self, z):
        upper, lower = z
        log_q = [self.upper.log_prob(upper), self.lower(upper).log_prob(lower)]
        return {NEG_LOG_Q: -jnp.stack(log_q)}


class LadderGuide(eqx.Module):
    top_down: Any
    slopes: Any
    log_scale: Any

    def __call__(self, datum):
        upper = dist.Normal(self.slopes[0] * datum.x, jnp.exp(self.log_scale))
        return LadderProposal(upper, self.top_down, self.slopes[1] * datum.x)


class Ladder(AbstractPair):
    top_down: Any
    readout: Any
    slopes: Any
    log_scale: Any

    def bind(self):
        model = LadderModel(self.top_down, self.readout)
        return model, LadderGuide(self.top_down, self.slopes, self.log_scale)


def ladder() -> Skeleton:
    def log_p(pair, datum, z):
        upper, lower = z
        log_prior = norm.logpdf(upper) + norm.logpdf(lower, np.tanh(pair.top_down * upper), 0.8)
        return log_prior + norm.logpdf(datum.x, pair.readout * lower, 0.7)

    def log_q(pair, datum, z):
        upper, lower = z
        lower_mean = np.tanh(pair.top_down * upper) + pair.slopes[1] * datum.x
        log_upper = norm.logpdf(upper, pair.slopes[0] * datum.x, np.exp(pair.log_scale))
        return log_upper + norm.logpdf(lower, lower_mean, 0.6)

    return Skeleton(
        pair=Ladder(
            top_down=jnp.array(0.8),
            readout=jnp.array(1.1),
            slopes=jnp.array([0.3, 0.4]),
            log_scale=jnp.array(-0.05),
        ),
        data=Datum(x=jnp.array([-0.6, 0.5, 1.2])),
        log_p=log_p,
        log_q=log_q,
        log_evidence=lambda pair, datum: integral(lambda z: log_p(pair, datum, z.T), 2),
        enters={
            ".top_down": {"model", "path", "density"},
            ".readout": {"model"},
            ".slopes": {"path", "density"},
            ".log_scale": {"path", "density"},
        },
    )


# A VampPrior: the prior is the guide's average over learned pseudo-inputs.


class VampDecoder(AbstractModel):
    guide: Any
    pseudo_inputs: Any
    weight: Any

    def terms(self, datum, z):
        log_q = jax.vmap(lambda u: self.guide(Datum(x=u)).log_prob(z))(self.pseudo_inputs)
        return {
            LOG_LIKELIHOOD: dist.Normal(jnp.sin(self.weight * z), 0.5).log_prob(datum.x),
            LOG_PRIOR: jax.nn.logsumexp(log_q) - jnp.log(1.0 * log_q.size),
        }


class ScalarEncoder(eqx.Module):
    slope: Any
    log_scale: Any

    def __call__(self, datum):
        return dist.Normal(self.slope * datum.x, jnp.exp(self.log_scale))


class VampPair(AbstractPair):
    encoder: ScalarEncoder
    pseudo_inputs: Any
    weight: Any

    def bind(self):
        return VampDecoder(self.encoder, self.pseudo_inputs, self.weight), self.encoder


def vamp() -> Skeleton:
    def log_p(pair, datum, z):
        scale = np.exp(pair.encoder.log_scale)
        components = [norm.pdf(z, pair.encoder.slope * u, scale) for u in pair.pseudo_inputs]
        log_likelihood = norm.logpdf(datum.x, np.sin(pair.weight * z), 0.5)
        return np.log(np.mean(components, axis=0)) + log_likelihood

    def log_q(pair, datum, z):
        return norm.logpdf(z, pair.encoder.slope * datum.x, np.exp(pair.encoder.log_scale))

    return Skeleton(
        pair=VampPair(
            encoder=ScalarEncoder(slope=jnp.array(0.7), log_scale=jnp.array(-0.2)),
            pseudo_inputs=jnp.array([-0.8, 1.1]),
            weight=jnp.array(0.9),
        ),
        data=Datum(x=jnp.array([-0.6, 0.1, 0.9])),
        log_p=log_p,
        log_q=log_q,
        log_evidence=lambda pair, datum: integral(lambda z: log_p(pair, datum, z[:, 0]), 1),
        enters={
            ".encoder.slope": {"model", "path", "density"},
            ".encoder.log_scale": {"model", "path", "density"},
            ".pseudo_inputs": {"model"},
            ".weight": {"model"},
        },
    )


# A NumPyro program with a global latent and a plate over rows, of which a datum may hold only some.
