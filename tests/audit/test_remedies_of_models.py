"""Remedies name what the audited model can be asked for."""

from dataclasses import fields

import numpy as np
import pytest

from taut.architectures import VAE, Discrete, Flow, Ladder, MixtureVAE
from taut.audit import LatentUse
from taut.audit.remedies import (
    another_prior,
    fewer_latents,
    number_of_latents,
    richer_guide,
    smaller_gap,
)
from taut.core import Estimate, InputError, option

MODELS = (VAE(), Flow(), Ladder(), Discrete(), Discrete(prior="uniform"), MixtureVAE(components=3))
OF_TRAINING = {"inference", "kl_warmup_steps"}


def use(*moved):
    none = Estimate(0.0, "none")
    return LatentUse(np.array(moved), (none,), none, len(moved))


def offered(remedy):
    """Names of the options in a remedy."""
    return InputError("", "", remedy).offers


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("remedy", [richer_guide, smaller_gap, another_prior, number_of_latents])
def test_every_option_is_one_of_the_model_or_of_the_one_that_is_named(model, remedy):
    names = offered(remedy(model))
    asked = VAE if "model" in names else type(model)
    assert names
    assert names <= {field.name for field in fields(asked)} | OF_TRAINING | {"model"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_idle_latents_are_named_by_what_decides_their_number(model):
    names = offered(fewer_latents(model, use(0.5, 0.0, 0.0, 0.5, *[0.0] * 15)))
    assert names == offered(number_of_latents(model)) | {"kl_warmup_steps"}


def test_a_class_counts_for_none_of_the_latents_beside_it():
    """Three classes, whose probabilities rows hardly move, and two Gaussian latents."""
    model = MixtureVAE(components=3, latent_dim=2)
    of_both, of_one = (fewer_latents(model, use(0, 0, 0, 0.5, last)) for last in (0.5, 0.0))
    assert offered(of_both) == {"kl_warmup_steps"}
    assert option("latent_dim", 1) in of_one
    assert option("latent_dim", 2) in fewer_latents(VAE(latent_dim=4), use(0.5, 0.0, 0.5, 0.0))


def test_a_prior_that_is_not_learned_is_learned_first():
    assert another_prior(Discrete(prior="uniform")) == option("prior", "learned")
    assert offered(another_prior(Discrete())) == {"latents"}
