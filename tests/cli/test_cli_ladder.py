"""`--model ladder` on the command line: which options it takes."""

import pytest

from taut.errors import InputError
from taut.recipe import recipe_of


def test_levels_come_from_the_options():
    found = recipe_of({"model": "ladder", "latent_dims": "8,4,2", "hidden": "32,16,8"}).model
    assert found.to_dict()["latent_dims"] == [8, 4, 2]
    assert found.to_dict()["hidden"] == [32, 16, 8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dims": "8,4"}, 'latent_dims: expected `latent_dims` with model="ladder"'),
        (
            {"model": "ladder", "latent_dim": 8},
            'latent_dim: expected `latent_dim` with model="vae"',
        ),
        ({"model": "ladder", "latent_dims": "8,x"}, "whole numbers with commas"),
        ({"model": "ladder", "latent_dims": "8,0"}, "a whole number of at least 1"),
    ],
)
def test_options_of_another_model_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        recipe_of(options)
