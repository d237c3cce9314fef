"""The flat config.toml of taut 0.1 is read, under the names that its options have now."""

import tomllib

import pytest

from taut.core import InputError
from taut.recipe import recipe_from, recipe_of

FIT = """
data = "digits"
model = "mixed"
components = 2
latent-dim = 1
hidden = "4"
likelihood = "gaussian"
support = "real"
floor = 0.1
num-particles = 3
warmup-steps = 2
epochs = 1
split = "0.4,0.3,0.3"
split-seed = 7
"""
WAKE_SLEEP = 'data = "bits.npy"\nmodel = "discrete"\nlatents = "bernoulli:4"\nwake-sleep = "both"\n'
EM = 'data = "digits"\nmodel = "ppca"\ncomponents = "1-3"\nfloor = 0.5\nprecision = "float64"\n'


def test_a_fit_is_repeated():
    recipe = recipe_from(tomllib.loads(FIT))
    asked = recipe_of(
        {
            "model": "mixture-vae", "components": 2, "latent_dim": 1, "hidden": (4,),
            "likelihood": "gaussian", "likelihood_floor": 0.1, "num_draws": 3, "epochs": 1,
            "learning_rate_warmup": 2, "support": "real", "split": (0.4, 0.3, 0.3),
            "split_seed": 7, "stream": "no",
        }
    )  # fmt: skip
    content = asked.to_dict()
    content["data"]["source"] = "digits"
    assert recipe.to_dict() == content


def test_wake_sleep_and_em_are_inferences():
    recipe = recipe_from(tomllib.loads(WAKE_SLEEP))
    assert recipe.inference.to_dict() == {"name": "wake-sleep", "phi": "both"}
    assert recipe.bound is not None
    assert recipe.bound.name == "iwae"
    em = recipe_from(tomllib.loads(EM))
    assert em.inference.to_dict()["floor"] == 0.5
    assert em.inference.to_dict()["candidates"] == [1, 2, 3]
    assert em.data.dtype == "float64"


def test_a_warmup_in_epochs_is_named_and_hinders_no_reading():
    content = tomllib.loads('data = "digits"\nkl-warmup = 3\n')
    with pytest.raises(InputError, match=r"kl.warmup.steps.*got kl-warmup, epochs"):
        recipe_from(content)
    assert recipe_from(content, lenient=True).data.source == "digits"
