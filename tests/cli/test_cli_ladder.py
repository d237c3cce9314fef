"""`--model ladder` on the command line: which options it takes."""

import pytest

from taut.cli.architecture import architecture
from taut.cli.options import FitOptions
from taut.errors import InputError


def test_levels_come_from_the_options():
    found = architecture(FitOptions(model="ladder", latent_dims="8,4,2", hidden="32,16,8"))
    assert found.to_dict()["latent_dims"] == [8, 4, 2]
    assert found.to_dict()["hidden"] == [32, 16, 8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (FitOptions(latent_dims="8,4"), "latent-dims: expected --latent-dims with --model ladder"),
        (
            FitOptions(model="ladder", latent_dim=8),
            "latent-dim: expected --latent-dim with --model vae",
        ),
        (FitOptions(model="ladder", latent_dims="8,x"), "whole numbers with commas"),
        (FitOptions(model="ladder", latent_dims="8,0"), "a whole number of at least 1"),
    ],
)
def test_options_of_another_model_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        architecture(options)
