"""Which gradient is taken where none is asked for, and what is said of an objective that is no bound."""

from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.architectures import ARCHITECTURES, VAE, VQ, Discrete
from taut.bounds import ELBO, IWAE, Renyi
from taut.gradients import ESTIMATORS, Concrete, Reparameterized
from taut.inference import INFERENCES, Joint, departures
from taut.inference.amortized.check import check_step
from taut.inference.choices import CodebookAverages, WakeSleep

# (latents, bound) -> the estimator, by the number of draws and by the kind of unit
CHOICES: list[tuple[str, Any, str]] = [
    ("bernoulli:3", ELBO(), "disarm"),
    ("bernoulli:3", ELBO(num_draws=2), "disarm"),
    ("bernoulli:3", ELBO(num_draws=2, free_bits=0.5), "nvil"),
    ("bernoulli:3", IWAE(num_particles=1), "nvil"),
    ("bernoulli:3", Renyi(alpha=0.5, num_particles=1), "nvil"),
    ("bernoulli:3", IWAE(num_particles=2), "vimco"),
    ("categorical:2x3", ELBO(), "nvil"),
    ("categorical:2x3", ELBO(num_draws=2), "rebar"),
    ("categorical:2x3", ELBO(num_draws=2, free_bits=0.5), "nvil"),
    ("categorical:2x3", IWAE(num_particles=2), "vimco"),
]
BITS = taut.load_data(np.eye(3)[np.arange(30) % 3])


@pytest.mark.parametrize(("latents", "bound", "wanted"), CHOICES)
def test_the_gradient_of_discrete_latents_follows_from_the_draws(latents, bound, wanted):
    model = Discrete(latents=latents, hidden=())
    found, why = model.gradient(bound)
    assert found.name == wanted
    example = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf[0]), BITS.train[:1].datum())
    check_step(model.init(BITS.schema, jax.random.key(0)), bound, found, example)
    assert why is not None
    assert "unbiased" in why


def test_everything_else_is_reparameterized_without_a_word():
    for name, cls in ARCHITECTURES.items():
        if name != "discrete" and cls.default_inference not in ("em", "online-em"):
            assert cls().gradient(ELBO()) == (Reparameterized(), None)


# (guide, bound) -> the estimator, by whether the guide has correlations and the KL may be sampled
CORRELATED: list[tuple[str, Any, str]] = [
    ("full-rank", ELBO(), "stl"),
    ("low-rank:2", ELBO(num_draws=2, beta=0.5), "stl"),
    ("full-rank", ELBO(kl="sampled"), "stl"),
    ("full-rank", ELBO(kl="closed"), "reparameterized"),
    ("low-rank:2", ELBO(free_bits=0.1), "reparameterized"),
    ("full-rank", IWAE(num_particles=2), "reparameterized"),
    ("iaf:2", ELBO(), "reparameterized"),
]


@pytest.mark.parametrize(("guide", "bound", "wanted"), CORRELATED)
def test_a_gaussian_with_correlations_is_fitted_by_the_path_alone(guide, bound, wanted):
    model = VAE(guide=guide, latent_dim=3, hidden=())
    found, why = model.gradient(bound)
    assert found.name == wanted
    assert (why is not None) == (wanted == "stl")
    example = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf[0]), BITS.train[:1].datum())
    check_step(model.init(BITS.schema, jax.random.key(0)), bound, found, example)


STEPS = 10
# A bound, a gradient, an inference -> which of the two departures are named after ten steps.
SAID: list[tuple[Any, Any, Any, Any, set[str]]] = [
    (VAE(), ELBO(), Reparameterized(), Joint(), set()),
    (VAE(), ELBO(beta=0.5), Reparameterized(), Joint(), {"objective"}),
    (VAE(), ELBO(free_bits=0.1), Reparameterized(), Joint(), {"objective"}),
    (VAE(), ELBO(warmup_steps=STEPS), Reparameterized(), Joint(), set()),
    (VAE(), ELBO(warmup_steps=STEPS + 1), Reparameterized(), Joint(), {"objective"}),
    (VAE(), IWAE(warmup_steps=STEPS), Reparameterized(), Joint(), set()),
    (VAE(), IWAE(warmup_steps=STEPS + 1), Reparameterized(), Joint(), {"objective"}),
    (VAE(), Renyi(alpha=0.5), Reparameterized(), Joint(), set()),
    (Discrete(), ELBO(), Concrete(), Joint(), {"gradient"}),
    (Discrete(), ELBO(beta=2.0), Concrete(), Joint(), {"gradient", "objective"}),
    (VAE(), ELBO(), None, WakeSleep(), {"objective"}),
    (VQ(), ELBO(), None, CodebookAverages(), {"objective"}),
]


@pytest.mark.parametrize(("model", "bound", "gradient", "inference", "wanted"), SAID)
def test_what_was_climbed_is_said_where_it_is_not_the_bound(
    model, bound, gradient, inference, wanted
):
    found = departures(inference, model, bound, gradient, STEPS)
    assert {name.split()[0] for name in found} == wanted
    assert all(found.values())


def test_every_choice_is_registered():
    assert {wanted for *_, wanted in CHOICES} <= set(ESTIMATORS)
    assert {inference.name for *_, inference, _ in SAID} <= set(INFERENCES)
