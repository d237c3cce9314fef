"""Remedies name what the audited model can be asked for."""

import json
from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from taut.architectures import VAE, Discrete, Flow, Ladder, MixtureVAE
from taut.audit import Choices, LatentUse
from taut.audit.remedies import (
    another_prior,
    fewer_latents,
    number_of_latents,
    other_priors,
    richer_guide,
    smaller_gap,
    used_latents,
    within_encoder,
)
from taut.core import Estimate, InputError, option
from taut.errors import _OPTION
from taut.inference import INFERENCES
from taut.recipe import recipe_of

MODELS = (VAE(), Flow(), Ladder(), Discrete(), Discrete(prior="uniform"), MixtureVAE(components=3))
OF_TRAINING = {"inference", "kl_warmup_steps"}


def use(*moved):
    none = Estimate(0.0, "none")
    return LatentUse(np.array(moved), (none,), none, len(moved))


def offered(remedy):
    """Names of the options in a remedy."""
    return InputError("", "", remedy).offers


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("remedy", [richer_guide, smaller_gap, another_prior])
def test_every_option_is_one_of_the_model_or_of_the_one_that_is_named(model, remedy):
    names = offered(remedy(Choices(model)))
    asked = VAE if "model" in names else type(model)
    assert names
    assert names <= {field.name for field in fields(asked)} | OF_TRAINING | {"model"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_idle_latents_are_named_by_what_decides_their_number(model):
    names = offered(fewer_latents(Choices(model), use(0.5, 0.0, 0.0, 0.5, *[0.0] * 15)))
    assert names == offered(number_of_latents(model)) | {"kl_warmup_steps"}


def test_a_class_counts_for_none_of_the_latents_beside_it():
    """Three classes, whose probabilities rows hardly move, and two Gaussian latents."""
    model = MixtureVAE(components=3, latent_dim=2)
    of_both, of_one = (
        fewer_latents(Choices(model), use(0, 0, 0, 0.5, last)) for last in (0.5, 0.0)
    )
    assert offered(of_both) == {"kl_warmup_steps"}
    assert option("latent_dim", 1) in of_one
    assert option("latent_dim", 2) in fewer_latents(
        Choices(VAE(latent_dim=4)), use(0.5, 0.0, 0.5, 0.0)
    )


def test_a_prior_that_is_not_learned_is_learned_first():
    assert another_prior(Choices(Discrete(prior="uniform"))) == option("prior", "learned")
    assert offered(another_prior(Choices(Discrete()))) == {"latents"}


# ---- Whatever the fit has already -------------------------------------------------------------------

PRIORS = ("standard-normal", "mixture:10", "mixture:3", "vamp:500", "flow:affine-coupling:4")
GUIDES = ("mean-field", "full-rank", "low-rank:4", "iaf:4", "sylvester:8")
HAD = [
    *(Choices(VAE(prior=prior, guide=guide)) for prior, guide in product(PRIORS, GUIDES)),
    *(Choices(Flow(prior=prior)) for prior in PRIORS if not prior.startswith("vamp")),
    *map(Choices, MODELS),
    *(Choices(VAE(), name) for name in INFERENCES if name != "semi-amortized"),
    *(Choices(VAE(), "semi-amortized", steps) for steps in (4, 8)),
    *(Choices(VAE(), warmup_steps=w, free_bits=b) for w in (0, 500) for b in (0.0, 0.1, None)),
]
REMEDIES = {
    "guide": richer_guide,
    "gap": smaller_gap,
    "encoder": within_encoder,
    "prior": another_prior,
    "collapse": used_latents,
    "idle": lambda had: fewer_latents(had, use(0.5, 0.0, 0.0, 0.5)),
}


def valued(remedy) -> list[tuple[str, Any]]:
    """Options with values in a remedy."""
    return [(found[1], json.loads(found[2])) for found in _OPTION.finditer(remedy) if found[2]]


@pytest.mark.parametrize("remedy", REMEDIES)
def test_nothing_that_the_fit_has_is_advised(remedy):
    for had in HAD:
        said = REMEDIES[remedy](had)
        more = "more layers than " in said
        values = valued(said.partition("more layers than ")[0] if more else said)
        has = {f.name: getattr(had.model, f.name) for f in fields(had.model)}
        own = {
            **has, "model": had.model.name, "inference": had.inference,
            "refine_steps": had.refine_steps, "free_bits": had.free_bits,
        }  # fmt: skip
        of_vae = isinstance(had.model, VAE) or "model" in dict(values)
        VAE(
            **{n: v for n, v in values if of_vae and n in ("guide", "prior")}
        )  # is refused if wrong
        for name, value in values:
            assert own.get(name) != value, (said, had)
            if name == "prior":
                assert value.partition(":")[0] != str(own.get(name)).partition(":")[0], (said, had)


def test_more_is_advised_of_what_a_fit_has():
    assert "a longer warm-up" in used_latents(Choices(VAE(), warmup_steps=500))
    assert valued(within_encoder(Choices(VAE(), "semi-amortized", 8)))[0] == ("refine_steps", 16)
    assert "free_bits" not in offered(used_latents(Choices(VAE(), free_bits=None)))
    assert offered(smaller_gap(Choices(VAE(), "per-datum"))) == {"guide"}
    assert "vamp:500" not in other_priors("vamp:200,weighted")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, {}),
        ({"kl_warmup_steps": 30}, {"warmup_steps": 30}),
        ({"bound": "iwae"}, {"free_bits": None}),
        ({"free_bits": 0.25}, {"free_bits": 0.25}),
        ({"kl": "sampled"}, {"free_bits": None}),
        ({"beta": 2.0}, {"beta": 2.0}),
        ({"inference": "semi-amortized"}, {"inference": "semi-amortized", "refine_steps": 8}),
        ({"inference": "per-datum"}, {"inference": "per-datum"}),
        ({"model": "gmm", "components": 2}, {"inference": "em", "free_bits": None}),
    ],
)
def test_they_are_those_of_the_recipe(asked, wanted):
    recipe = recipe_of(dict(asked))
    assert Choices.of(VAE(), recipe) == replace(Choices(VAE()), **wanted)
