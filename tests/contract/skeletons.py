"""Six kinds of latent-variable model, each in about thirty lines, made of nothing but the contract.

Each one comes with its log-density, its guide's log-density and its evidence written by hand in NumPy
and SciPy, and with a list of which parameter enters the log-weight through which slot.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from known_models import grid, log_sum, trapezoid
from numpyro.handlers import seed, substitute, trace
from scipy.special import expit
from scipy.stats import bernoulli, multivariate_normal, norm

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    AbstractPair,
    AbstractProposal,
    Datum,
    Dirac,
    Draws,
    Enumerated,
    Pair,
    equal_mass,
)


class Skeleton(NamedTuple):
    """A pair, a batch of data, and what is known about them by hand.

    Attributes:
        pair: all parameters; every leaf is an array.
        data: a batch of three rows.
        log_p: log p(x, z) of (pair, datum, z), by hand; nats.
        log_q: what is subtracted from it in log w, by hand.
        log_evidence: log p(x) of (pair, datum), by hand; None where there is only a minibatch.
        enters: for each leaf of the pair, the slots through which it enters log w and the masses.
    """

    pair: AbstractPair
    data: Datum
    log_p: Callable[[Any, Datum, Any], Any]
    log_q: Callable[[Any, Datum, Any], Any]
    log_evidence: Callable[[Any, Datum], float] | None
    enters: dict[str, set[str]]


def integral(log_density: Callable[[np.ndarray], np.ndarray], dims: int) -> float:
    """log of the integral of exp(log_density) over [-10, 10]^dims, for nodes (n, dims)."""
    nodes, weights = grid(*trapezoid(-10.0, 10.0, 0.1), dims)
    return log_sum(log_density(nodes), weights=weights)


# A variational autoencoder: two Gaussian latents, three pixels, the KL in closed form per latent.


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

PLATE_SIZE = 4


def program(loading, rows):
    z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", PLATE_SIZE, subsample_size=rows.shape[0]):
        numpyro.sample("x", dist.Normal(loading * z, 1.0), obs=rows)


class ProgramModel(AbstractModel):
    loading: Any
    num_rows: int = eqx.field(static=True)

    @property
    def subsampled(self):
        return self.num_rows < PLATE_SIZE

    def terms(self, datum, z):
        # The key is never used: every random choice of the program is substituted or observed.
        chosen: dict[str, Any] = {"z": z, "rows": datum.index}
        bound = substitute(seed(program, 0), chosen)
        sites = trace(bound).get_trace(self.loading, datum.x)
        terms = {LOG_LIKELIHOOD: jnp.zeros(()), LOG_PRIOR: jnp.zeros(())}
        for site in sites.values():
            if site["type"] == "sample":
                name = LOG_LIKELIHOOD if site["is_observed"] else LOG_PRIOR
                scale = 1.0 if site["scale"] is None else site["scale"]
                terms[name] += scale * site["fn"].log_prob(site["value"]).sum()
        return terms


class GlobalGuide(eqx.Module):
    loc: Any
    log_scale: Any

    def __call__(self, datum):
        return dist.Normal(self.loc, jnp.exp(self.log_scale))


def whole_program(num_rows: int = PLATE_SIZE) -> Skeleton:
    def log_p(pair, datum, z):
        rows = norm.logpdf(datum.x, pair.model.loading * z, 1.0)
        return norm.logpdf(z) + PLATE_SIZE / num_rows * rows.sum()

    def log_evidence(pair, datum):
        covariance: Any = np.eye(PLATE_SIZE) + float(pair.model.loading) ** 2
        return float(multivariate_normal(np.zeros(PLATE_SIZE), covariance).logpdf(datum.x))

    rows = jnp.array([[0.5, -0.2, 1.1, 0.3], [-0.4, 0.2, 0.1, -1.0], [0.9, 0.4, -0.1, 0.6]])
    index = jnp.tile(jnp.arange(num_rows), (3, 1))
    return Skeleton(
        pair=Pair(
            ProgramModel(jnp.array(0.6), num_rows),
            GlobalGuide(loc=jnp.array(0.1), log_scale=jnp.array(-0.2)),
        ),
        data=Datum(x=rows[:, :num_rows], index=index),
        log_p=log_p,
        log_q=lambda pair, datum, z: norm.logpdf(z, pair.guide.loc, np.exp(pair.guide.log_scale)),
        log_evidence=log_evidence if num_rows == PLATE_SIZE else None,
        enters={
            ".model.loading": {"model"},
            ".guide.loc": {"path", "density"},
            ".guide.log_scale": {"path", "density"},
        },
    )


def subsampled_program() -> Skeleton:
    return whole_program(num_rows=2)


SKELETONS = {
    "vae": vae,
    "flow": flow,
    "mixture": mixture,
    "ladder": ladder,
    "vamp": vamp,
    "program": whole_program,
    "subsampled_program": subsampled_program,
}
