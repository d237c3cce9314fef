"""A chain's log-weight is log p(x) by hand: bijections, a surjection, a summed fibre, a bound."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import log_sum, trapezoid
from scipy.stats import norm

from taut.core import LOG_LIKELIHOOD, LOG_VOLUME, NEG_LOG_Q, Datum, InputError, frozen, particles
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import (
    AbstractBijection,
    AbstractLayer,
    Chain,
    ChainProposal,
    Encoded,
    Fibre,
    Transformed,
)


class Stretch(AbstractBijection):
    """z = exp(a) x."""

    name: ClassVar[str] = "stretch"
    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    a: Any

    def encode_and_log_det(self, x, condition=None):
        return jnp.exp(self.a) * x, self.a * x.size

    def decode_and_log_det(self, z, condition=None):
        return jnp.exp(-self.a) * z, -self.a * z.size


class Fold(AbstractLayer):
    """z = |x| with the sign of x drawn; or, the other way, x = |z| with the sign of z drawn."""

    name: ClassVar[str] = "fold"
    kind: ClassVar = "surjective"
    downwards: bool = eqx.field(static=True)
    logit: Any
    x_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))
    z_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))

    @property
    def deterministic_encode(self):
        return self.downwards

    @property
    def deterministic_decode(self):
        return not self.downwards

    @property
    def fibre_size(self):
        return None if self.downwards else 2

    def _log_sign(self, value):
        return jax.nn.log_sigmoid(jnp.where(value[0] > 0, self.logit, -self.logit))

    def _signed(self, value, key):
        up = jax.random.bernoulli(key, jax.nn.sigmoid(self.logit))
        return jnp.where(up, value, -value)

    def encode(self, x, key=None, condition=None):
        z = jnp.abs(x) if self.downwards else self._signed(x, key)
        return Encoded(z, self.inference_terms(x, z))

    def decode(self, z, key=None, condition=None):
        return self._signed(z, key) if self.downwards else jnp.abs(z)

    def inference_terms(self, x, z, condition=None):
        return {} if self.downwards else {NEG_LOG_Q: -self._log_sign(z)}

    def generative_terms(self, x, z, condition=None):
        return {LOG_LIKELIHOOD: self._log_sign(x)} if self.downwards else {}

    def fibre(self, x, condition=None):
        log_q = jax.nn.log_sigmoid(jnp.array([self.logit, -self.logit]))
        return Fibre(jnp.stack([x, -x]), log_q)


def stretch(a: float, dim: int = 1) -> Stretch:
    return Stretch((dim,), (dim,), jnp.asarray(a))


def minted(pair: ChainPair, x: Any, num: int = 3, seed: int = 0) -> Any:
    model, guide = pair.bind()
    return particles(model, guide, guide, Datum(x=jnp.asarray(x)), jax.random.key(seed), num)


def test_bijections_give_the_log_density(float64):
    pair = ChainPair(Chain([stretch(0.3, 2), stretch(-1.1, 2)]), StandardNormal(2))
    made = minted(pair, [0.7, -0.2])
    scale = np.exp(0.8)
    by_hand = norm.logpdf([0.7, -0.2], scale=scale).sum()
    np.testing.assert_allclose(made.log_w, [by_hand], rtol=1e-14)
    assert made.dirac
    assert made.exhaustive
    assert made.terms[LOG_VOLUME].shape == (1, 2)


def test_a_fold_of_the_data_is_exact(float64):
    chain = Chain([Fold(downwards=True, logit=jnp.asarray(0.4)), stretch(0.3)])
    pair = ChainPair(chain, StandardNormal(1))
    nodes, weights = trapezoid(-12.0, 12.0, 0.05)
    nodes = nodes + 0.025  # the density jumps at zero
    log_w = jax.jit(jax.vmap(lambda x: minted(pair, x[None]).log_w[0]))(nodes)
    # |x| of a standard normal base covers half of its mass.
    assert abs(log_sum(log_w, weights=weights) - np.log(0.5)) < 1e-9


def test_a_finite_fibre_is_summed_and_exact(float64):
    chain = Chain([stretch(0.3), Fold(downwards=False, logit=jnp.asarray(0.4)), stretch(-0.5)])
    made = minted(ChainPair(chain, StandardNormal(1)), [1.3])
    z = np.exp(0.3) * 1.3 * np.exp(-0.5) * np.array([1, -1])
    by_hand = np.log(norm.pdf(z).sum()) - 0.2
    evidence = jax.nn.logsumexp(made.log_mass + made.log_w)
    np.testing.assert_allclose(evidence, by_hand, rtol=1e-14)
    assert made.exhaustive
    assert not made.dirac
    assert made.num_particles == 2


def test_a_drawn_fibre_is_a_bound_whose_weights_average_to_the_density(float64):
    """The same chain with the sum refused: each weight belongs to one outcome."""
    fold = Fold(downwards=False, logit=jnp.asarray(0.4))
    chain = Chain([fold, stretch(-0.5)])
    pair = ChainPair(chain, StandardNormal(1))
    model, _ = pair.bind()
    x = jnp.array([1.3])
    fibre = fold.fibre(x)
    total = 0.0
    for z, log_q in zip(fibre.z, fibre.log_q, strict=True):
        path = (z, chain.layers[1].encode(z).z)
        terms = {**model.terms(Datum(x=x), path), **ChainProposal(chain, x).terms(path)}
        log_w = sum(float(jnp.sum(t)) for t in terms.values())
        total += np.exp(float(log_q) + log_w)
    by_hand = 2 * norm.pdf(np.exp(-0.5) * 1.3) * np.exp(-0.5)
    np.testing.assert_allclose(total, by_hand, rtol=1e-14)


def test_draws_of_a_transformed_base_carry_their_density(float64):
    q = Transformed(StandardNormal(2)(), Chain([stretch(0.3, 2), stretch(-1.1, 2)]))
    draws = q.draw(jax.random.key(1), 5)
    assert draws.terms is not None
    by_hand = norm.logpdf(draws.z, scale=np.exp(0.8)).sum(1)
    np.testing.assert_allclose(-draws.terms[NEG_LOG_Q], by_hand, rtol=1e-13)
    again = jax.vmap(q.terms)(draws.z)[NEG_LOG_Q]
    np.testing.assert_allclose(draws.terms[NEG_LOG_Q], again, rtol=1e-13)


def test_layers_that_do_not_meet_are_both_named():
    with pytest.raises(
        InputError, match=r"shape \(2,\), which stretch gives, got stretch, which ta"
    ):
        Chain([stretch(0.0, 2), stretch(0.0, 3)])


def test_a_flow_posterior_is_made_of_bijections():
    chain = Chain([Fold(downwards=True, logit=jnp.asarray(0.0))])
    with pytest.raises(InputError, match=r"bijective layers.*got fold, which is surjective"):
        chain.encode_and_log_det(jnp.ones(1))


def test_the_volume_of_a_step_goes_with_its_path():
    """Freezing only the density of a chain with a Dirac step would lose the step's own gradient."""
    pair = ChainPair(
        Chain([stretch(0.3), Fold(downwards=False, logit=jnp.asarray(0.4))]), StandardNormal(1)
    )
    model, guide = pair.bind()
    with pytest.raises(InputError, match="a guide that draws at random in every layer"):
        particles(model, guide, frozen(guide), Datum(x=jnp.ones(1)), jax.random.key(0), 2)
