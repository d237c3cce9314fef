"""A VAE whose prior is a flow and the chain "VAE layer, bijections, base" have the same log-weights.

    log p(x | z) + [log base(f(z)) + log |det df/dz|] - log q(z | x)

The bracket is log p(z) of a flow prior, or the rest of the chain above z: in one the volume is the
model's, in the other the guide's.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from known_models import log_sum, trapezoid
from scipy.stats import norm

from taut.core import LOG_PRIOR, LOG_VOLUME, Datum, Particles, particles
from taut.guides import AmortizedGuide, ChainPair, MeanFieldGaussian
from taut.models import AbstractPrior, LatentVariableModel, StandardNormal
from taut.models.likelihoods import Gaussian
from taut.networks import MLP
from taut.transforms import AbstractBijection, Chain, Transformed, VAELayer


class Arsinh(AbstractBijection):
    """z = sinh(x) exp(a) + b."""

    name = "arsinh"
    a: Any
    b: Any
    x_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))
    z_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))

    def encode_and_log_det(self, x, condition=None):
        return jnp.sinh(x) * jnp.exp(self.a) + self.b, jnp.sum(jnp.log(jnp.cosh(x)) + self.a)

    def decode_and_log_det(self, z, condition=None):
        x = jnp.arcsinh((z - self.b) * jnp.exp(-self.a))
        return x, -jnp.sum(jnp.log(jnp.cosh(x)) + self.a)


GAUSSIAN = Gaussian(shape=(2,), scale="datum")


class FlowPrior(AbstractPrior):
    """p(z) as bijections over a base."""

    name = "flow"
    base: StandardNormal
    chain: Chain

    def __call__(self):
        return Transformed(self.base(), self.chain)


def parts() -> tuple[Any, ...]:
    encoder = MLP(2, (3,), 2, activation="tanh", key=jax.random.key(0))
    decoder = MLP(1, (3,), 4, activation="tanh", key=jax.random.key(1))
    flow = [Arsinh(jnp.array(0.3), jnp.array(-0.5)), Arsinh(jnp.array(-0.8), jnp.array(0.4))]
    return encoder, decoder, flow


def as_vae() -> tuple[LatentVariableModel, AmortizedGuide]:
    encoder, decoder, flow = parts()
    prior = FlowPrior(StandardNormal(1), Chain(flow))
    return (
        LatentVariableModel(prior, decoder, GAUSSIAN, (2,)),
        AmortizedGuide(encoder, MeanFieldGaussian(1)),
    )


def as_chain() -> ChainPair:
    encoder, decoder, flow = parts()
    family = MeanFieldGaussian(1)

    def likelihood_at(z: Any) -> dist.Distribution:
        return GAUSSIAN(decoder(z).reshape(2, 2)).to_event(1)

    vae = VAELayer(lambda x: family(encoder(x)), likelihood_at, (2,), (1,))
    return ChainPair(Chain([vae, *flow]), StandardNormal(1))


@eqx.filter_jit
def minted(model: Any, guide: Any, datum: Datum, key: Any, num_particles: int) -> Particles:
    return particles(model, guide, guide, datum, key, num_particles)


def test_log_weights_agree_draw_by_draw(float64):
    x = jnp.array([0.4, -0.9])
    chain_model, chain_guide = as_chain().bind()
    made = minted(chain_model, chain_guide, Datum(x=x), jax.random.key(2), 6)
    model, guide = as_vae()
    z = made.z[0]
    log_q = guide(Datum(x=x)).log_prob(z)
    log_w = jax.jit(jax.vmap(lambda z: model.log_joint(Datum(x=x), z)))(z) - log_q
    np.testing.assert_allclose(made.log_w, log_w, rtol=1e-12)
    # The same nats, owned by different sides.
    prior = jax.jit(jax.vmap(lambda z: model.terms(Datum(x=x), z)[LOG_PRIOR]))(z)
    volume = made.terms[LOG_VOLUME].sum(axis=1)
    np.testing.assert_allclose(prior, made.terms[LOG_PRIOR] + volume, rtol=1e-12)
    # The volume of the other direction would be seen.
    assert np.min(np.abs(made.terms[LOG_PRIOR] - volume - prior)) > 0.1


def test_evidence_of_both_is_the_integral_over_z(float64):
    """Against quadrature in NumPy, the flow prior written out: z = arsinh(arsinh(e) ...)."""
    x = np.array([0.4, -0.9])
    model, _ = as_vae()
    _, decoder, _ = parts()
    nodes, weights = trapezoid(-2.5, 2.5, 0.005)  # e runs beyond 400 either way
    e = np.sinh(np.sinh(nodes) * np.exp(0.3) - 0.5) * np.exp(-0.8) + 0.4
    slope = np.cosh(np.sinh(nodes) * np.exp(0.3) - 0.5) * np.cosh(nodes) * np.exp(0.3 - 0.8)
    outputs = np.asarray(jax.jit(jax.vmap(decoder))(jnp.asarray(nodes)[:, None])).reshape(-1, 2, 2)
    given = np.asarray(
        jax.jit(jax.vmap(lambda o: GAUSSIAN(o).log_prob(jnp.asarray(x))))(outputs)
    ).sum(1)
    by_hand = log_sum(norm.logpdf(e) + given, weights=weights * slope)
    row = Datum(x=jnp.asarray(x))
    log_joint = jax.jit(jax.vmap(lambda z: model.log_joint(row, z[None])))(nodes)
    assert abs(log_sum(log_joint, weights=weights) - by_hand) < 1e-10

    chain_model, chain_guide = as_chain().bind()
    draws = minted(chain_model, chain_guide, row, jax.random.key(3), 20_000)
    w = np.exp(np.asarray(draws.log_w) - by_hand)
    assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(w.size)
    assert w.std() / np.sqrt(w.size) < 0.05
