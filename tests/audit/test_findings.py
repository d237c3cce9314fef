"""Planted faults: each changes what an audit says comes first, as it should.

The model is a linear factor model, whose best diagonal guide is known: with it, nothing but the family
of the guide is left to complain of.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import LinearGaussian, LinearGuide
from unchecked import types_unchecked

from taut.architectures import VAE
from taut.audit import Choices, audited_evidence, findings, gaps, holes, latent_use
from taut.audit.gaps import Gaps
from taut.core import AbstractProposal, Datum, Draws, Estimate, Pair, equal_mass

RNG = np.random.default_rng(7)
LOADINGS = np.array([[2.0, 1.0], [0.6, 1.5], [-0.5, 1.0], [0.8, -0.7], [0.3, 1.1], [1.0, 0.2]])


class Scaled(LinearGaussian):
    """With the deviation of its prior, which is one of the arguments of its programs."""

    deviation: Any = 1.0

    def prior(self):
        return dist.Normal(0.0, self.deviation).expand([self.loadings.shape[1]]).to_event(1)


MODEL = Scaled(LOADINGS, 0.8)
TRAIN, HELD_OUT = (
    RNG.normal(size=(n, 2)) @ LOADINGS.T + 0.8 * RNG.normal(size=(n, 6)) for n in (400, 200)
)
PRECISION = MODEL.precision()
WEIGHT = np.linalg.solve(PRECISION, LOADINGS.T / 0.8**2)
BEST = LinearGuide(WEIGHT, np.diagonal(PRECISION) ** -0.5)


def found(model, guide, *, beta=1.0):
    """The names of the findings, in their order, with the losses behind them."""
    # Arrays of JAX's are arguments of a program, which then serves every test.
    pair = jax.tree.map(jnp.asarray, Pair(model, guide))
    train, held_out = Datum(TRAIN[:100]), Datum(HELD_OUT[:100])
    keys = jax.random.split(jax.random.key(3), 7)
    of = []
    for i, rows in enumerate((train, held_out)):
        evidence, _ = audited_evidence(pair, rows, key=keys[i], num_particles=200)
        of.append(gaps(pair, rows, evidence, key=keys[2 + i]))
    prior = holes(pair, Datum(TRAIN), held_out, key=keys[4], num_samples=300, num_draws=4)
    use = latent_use(pair, train, key=keys[6])
    return {f.name: f for f in findings(of[0], of[1], use, prior, had=Choices(VAE(), beta=beta))}


def test_a_sound_model_has_nothing_but_its_family_to_complain_of(float64):
    says = found(MODEL, BEST)
    loss = 0.5 * (np.log(np.diagonal(PRECISION)).sum() - np.linalg.slogdet(PRECISION)[1])
    names = list(says)
    assert names == (["approximation"] if loss > 0.1 else [])


def test_an_encoder_frozen_at_random_is_the_encoder(float64):
    says = found(MODEL, LinearGuide(RNG.normal(size=(2, 6)) * 0.1, np.array([0.5, 0.5])))
    assert next(iter(says)) == "amortization"
    assert "semi-amortized" in says["amortization"].remedy


def test_a_prior_of_the_wrong_variance_is_the_prior(float64):
    """p(z) = N(0, 36 I), with the best guide for it, on rows of the model with N(0, I)."""
    model = Scaled(LOADINGS, 0.8, 6.0)
    precision = PRECISION + (1 / 36 - 1) * np.eye(2)
    weight = np.linalg.solve(precision, LOADINGS.T / 0.8**2)
    says = found(model, LinearGuide(weight, np.diagonal(precision) ** -0.5))
    assert next(iter(says)) == "prior"
    loss: Any = says["prior"].loss
    # KL(N(0, I) to N(0, 36 I)), less what 400 components cost against the normal.
    truth = np.log(36) + 1 / 36 - 1
    assert abs(loss.value - truth) < 0.4


@pytest.mark.parametrize(("beta", "first"), [(4.0, "objective"), (1.0, "approximation")])
def test_another_beta_comes_first(beta, first, float64):
    says = found(MODEL, BEST, beta=beta)
    assert next(iter(says), "approximation") == first


def test_all_of_them_dead_have_collapsed(float64):
    model = Scaled(np.zeros((6, 2)), 0.8)
    says = found(model, LinearGuide(np.zeros((2, 6)), np.ones(2)))
    assert next(iter(says)) == "collapse"


def test_half_of_the_latents_dead_are_idle(float64):
    loadings = np.concatenate([LOADINGS, np.zeros((6, 2))], axis=1)
    weight = np.concatenate([WEIGHT, np.zeros((2, 6))])
    scale = np.concatenate([BEST.scale, np.ones(2)])
    says = found(LinearGaussian(loadings, 0.8), LinearGuide(weight, scale))
    assert "2 of 4 latent dimensions" in says["idle latents"].says
    assert "collapse" not in says


class _Dropped(AbstractProposal):
    """Draws of a Gaussian, and a density of one everywhere."""

    inside: Any

    @property
    def reparameterized(self):
        return True

    def draw(self, key, num_particles):
        return Draws(self.inside.sample(key, (num_particles,)), equal_mass(num_particles))

    def terms(self, z):
        return {"-log_q": jnp.zeros(())}


class WithoutLogQ(eqx.Module):
    guide: Any

    def __call__(self, datum):
        return _Dropped(self.guide(datum))


def test_a_dropped_log_q_cannot_be(float64):
    """Without log q a guide shrinks to the mode, where the ELBO is log p(x) + log p(z | x)."""
    model = LinearGaussian(LOADINGS, 0.2)
    precision = model.precision()
    weight = np.linalg.solve(precision, LOADINGS.T / 0.2**2)
    says = found(model, WithoutLogQ(LinearGuide(weight, np.array([1e-3, 1e-3]))))
    assert next(iter(says)) == "densities"
    loss: Any = says["densities"].loss
    above = 0.5 * np.linalg.slogdet(precision)[1] - np.log(2 * np.pi)
    assert abs(-loss.value - above) < 0.05
    assert above > 1


@pytest.mark.parametrize(
    ("value", "draws", "rows", "told"),
    [
        (1.0, 0.1, 0.1, True),
        (1.0, 0.1, 0.6, False),
        (1.0, 0.6, 0.1, False),
        (1.0, 0.4, 0.4, False),  # which are too large together alone
        (1.0, np.nan, 0.1, True),
        (1.0, 0.1, np.nan, True),
        (0.09, 0.0, 0.0, False),
    ],
)
def test_a_loss_is_told_above_two_of_its_errors_over_draws_and_rows(value, draws, rows, told):
    none = Estimate(0.0, "none", 0.0, 0.0)
    loss = Estimate(value, "lower", draws, rows)
    sound = Gaps(none, none, none, none, none)
    use: Any = SimpleNamespace(collapsed=False, moved=np.ones(2), num_active=2)
    for name in ("amortization", "approximation"):
        lossy = replace(sound, **{name: loss})
        with types_unchecked():
            names = [f.name for f in findings(sound, lossy, use, None, had=Choices(VAE()))]
        assert names == ([name] if told else [])
