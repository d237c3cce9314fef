"""Laws of the layers that draw in both directions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import trapezoid
from layer_laws import (
    Record,
    agree_in_mean,
    density_is_known,
    every_parameter_has_a_gradient,
    minted,
    plane,
    total_mass_is_one_and_draws_follow_it,
)
from scipy.stats import multivariate_normal, norm
from surjection_records import COVARIANCE, MEAN, gaussian, network, over_orders

import taut.transforms.stochastic
from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, Dirac, InputError
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import (
    LAYERS,
    AbstractLayer,
    Chain,
    ConditionalNormal,
    StochasticPermutation,
    VAELayer,
)

SLOPE, NOISE = 0.9, 0.6


def linear_decoder(z: Any) -> dist.Distribution:
    """N(0.9 z, 0.6^2): over a standard normal base, x is N(0, 0.9^2 + 0.6^2)."""
    return dist.Normal(SLOPE * z, NOISE).to_event(1)


def vae(ins: int = 1, outs: int = 1, seed: int = 0) -> VAELayer:
    """Encoder and decoder are networks."""
    return VAELayer(
        ConditionalNormal(network(ins, 2 * outs, seed), (outs,)),
        ConditionalNormal(network(outs, 2 * ins, seed + 1), (ins,)),
        (ins,),
        (outs,),
    )


def line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = trapezoid(-40.0, 40.0, 0.1)
    return nodes[:, None], weights


STOCHASTIC: dict[str, Record] = {
    "vae": Record(
        lambda: VAELayer(ConditionalNormal(network(1, 2), (1,)), linear_decoder, (1,), (1,)),
        lambda: StandardNormal(1),
        rows=[[0.3], [-2.0]],
        known=lambda x: float(norm.logpdf(x[0], 0, np.hypot(SLOPE, NOISE))),
        fibre_rule=line,
        sampled=("encoder",),
        float32_loss=4e-6,
    ),
    "stochastic-permutation": Record(
        lambda: StochasticPermutation((2,)),
        lambda: gaussian(2),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        rule=lambda: plane(trapezoid(-12.0, 12.0, 0.25)),
        known=lambda x: over_orders(x) - np.log(2),
        float32_loss=2e-6,
    ),
}
over_all = pytest.mark.parametrize("record", STOCHASTIC.values(), ids=STOCHASTIC)


def test_every_stochastic_layer_is_registered_and_under_the_laws():
    exported = {getattr(taut.transforms.stochastic, n) for n in taut.transforms.stochastic.__all__}
    layers = {cls for cls in exported if issubclass(cls, AbstractLayer)}
    assert layers == {cls for cls in LAYERS.values() if ".stochastic." in cls.__module__}
    assert {cls.name for cls in layers} == set(STOCHASTIC)


@over_all
def test_density_is_known(record, float64):
    density_is_known(record)


@over_all
def test_gradients_and_the_loss_in_float32(record, float64):
    assert every_parameter_has_a_gradient(record) <= record.float32_loss


def test_permuted_mass_is_one(float64):
    total_mass_is_one_and_draws_follow_it(STOCHASTIC["stochastic-permutation"])


def test_draws_carry_and_follow_their_density(float64):
    """Of the VAE layer, by quadrature; of a permutation, against all orders."""
    layer = vae()
    x, z = jnp.array([0.7]), jnp.array([-0.4])
    keys = jax.random.split(jax.random.key(0), 4000)

    @jax.jit
    @jax.vmap
    def draws(key):
        latent, terms = layer.encode(x, key)
        return (
            latent,
            terms[NEG_LOG_Q],
            layer.inference_terms(x, latent)[NEG_LOG_Q],
            layer.decode(z, key),
        )

    latent, carried, again, data = map(np.asarray, draws(keys))
    np.testing.assert_allclose(carried, again, rtol=1e-11)
    nodes, weights = line(x)

    @jax.jit
    @jax.vmap
    def densities(node):
        own = layer.inference_terms(x, node)[NEG_LOG_Q]
        return jnp.exp(-own), jnp.exp(layer.generative_terms(node, z)[LOG_LIKELIHOOD])

    for drawn, density in zip((latent, data), densities(jnp.asarray(nodes)), strict=True):
        mass = weights * np.asarray(density)
        assert abs(mass.sum() - 1) < 1e-9
        moments = np.concatenate([nodes, nodes**2], axis=1)
        agree_in_mean(np.concatenate([drawn, drawn**2], axis=1), mass @ moments)
    np.testing.assert_allclose(layer.mean(z), densities_mean(layer, z), rtol=1e-12)

    shuffle = StochasticPermutation((3, 2), (0, 1))
    x = jnp.arange(6.0).reshape(3, 2)
    fibre = np.asarray(shuffle.fibre(x).z)
    assert len(np.unique(fibre.reshape(len(fibre), -1), axis=0)) == shuffle.fibre_size == 12
    for direction in (lambda key: shuffle.encode(x, key).z, lambda key: shuffle.decode(x, key)):
        found = np.asarray(jax.jit(jax.vmap(direction))(keys))
        hits = np.all(found[:, None] == fibre, axis=(2, 3))
        agree_in_mean(hits.astype(float), np.full(12, 1 / 12))
    np.testing.assert_allclose(shuffle.mean(x), fibre.mean(axis=0))


def densities_mean(layer: VAELayer, z: Any) -> Any:
    loc, _ = np.split(np.asarray(layer.decoder.features(z)), 2)
    return loc


def test_two_vae_layers_are_a_hierarchical_model(float64):
    """The log-weight of a chain of two by the densities of SciPy, and who owns which term."""
    lower, upper = vae(3, 2, 0), vae(2, 1, 5)
    pair = ChainPair(Chain([lower, upper]), StandardNormal(1))
    x = jnp.array([0.3, -1.0, 0.8])
    made = minted(pair, x, jax.random.key(1), 4)
    assert made.terms[LOG_LIKELIHOOD].shape == made.terms[NEG_LOG_Q].shape == (4, 2)
    assert not made.exhaustive

    def log_normal(conditional: Any, given: Any, value: Any) -> float:
        loc, log_scale = np.split(np.asarray(conditional.features(given)), 2)
        return float(np.sum(norm.logpdf(value, loc, np.exp(log_scale))))

    for k in range(4):
        first, second = made.z[0][k], made.z[1][k]
        by_hand = (
            log_normal(lower.decoder, first, x)
            + log_normal(upper.decoder, second, first)
            + float(norm.logpdf(second[0]))
            - log_normal(lower.encoder, x, first)
            - log_normal(upper.encoder, first, second)
        )
        np.testing.assert_allclose(made.log_w[k], by_hand, rtol=1e-12)


def test_a_permuted_model_of_three_is_the_average_over_orders(float64):
    x = np.array([0.3, -1.2, 0.7])
    made = minted(
        ChainPair(Chain([StochasticPermutation((3,))]), gaussian(3)),
        jnp.asarray(x), jax.random.key(0), 1,
    )  # fmt: skip
    q: Any = multivariate_normal(MEAN, COVARIANCE)
    by_hand = np.mean([q.pdf(x[list(o)]) for o in ORDERS])
    np.testing.assert_allclose(
        jax.nn.logsumexp(made.log_mass + made.log_w), np.log(by_hand), rtol=1e-13
    )
    # A forgotten order is noticed.
    assert abs(np.mean([q.pdf(x[list(o)]) for o in ORDERS[1:]]) - by_hand) > 1e-4


ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def test_an_encoder_says_whether_its_draws_are_differentiable():
    counts = lambda x: dist.Poisson(jnp.exp(x)).to_event(1)  # noqa: E731
    assert vae().reparameterized
    assert not VAELayer(counts, linear_decoder, (1,), (1,)).reparameterized


MESSAGES = [
    (
        lambda: StochasticPermutation((3, 2), (2,)),
        "axes: expected different axes of the shape (3, 2), counted from 0, got (2,). Try (0,).",
    ),
    (
        lambda: StochasticPermutation((9, 8), (0, 1)).fibre(jnp.ones((9, 8))),
        "latents: expected at most 1024 latents that one row can have, to sum over all of them, "
        "got stochastic-permutation with 9! 8! = 14631321600. Try drawing z, which gives a lower bound, "
        "or fewer dimensions.",
    ),
    (
        lambda: VAELayer(lambda x: Dirac(x, jnp.zeros(())), linear_decoder, (1,), (1,)).encode(
            jnp.ones(1), jax.random.key(0)
        ),
        "encoder: expected a distribution to draw from, got Dirac, which is a point. Try a NumPyro "
        "distribution.",
    ),
]


@pytest.mark.parametrize(("act", "message"), MESSAGES)
def test_messages(act, message):
    with pytest.raises(InputError) as caught:
        act()
    assert str(caught.value) == message
