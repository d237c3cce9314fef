"""Options of a bound that a model gives no use: refused, never left out in silence."""

import numpy as np
import pytest

import taut
from taut.core import InputError

TABLE = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
WEIGHTS = {"beta": 0.5, "kl_warmup_steps": 100, "free_bits": 0.5}
CHAIN = "a chain of layers, whose log p(x) has no such part"


@pytest.mark.parametrize(
    ("choices", "option", "got"),
    [
        *[({"model": "flow", "layers": "affine-coupling:1"}, name, CHAIN) for name in WEIGHTS],
        ({"model": "flow", "layers": "vae:2,vae:2"}, "beta", CHAIN),
        ({"model": "flow", "layers": "affine", "bound": "iwae"}, "kl_warmup_steps", CHAIN),
        (
            {"model": "vae", "latent_dim": 2, "inference": "wake-sleep"}, "kl_warmup_steps",
            'inference="wake-sleep", which fits the guide to latents alone',
        ),
        *[
            (
                {"model": "vq", "latents": "2x4"}, name,
                "codes that are all as probable, whose KL is one number",
            )
            for name in WEIGHTS
        ],
    ],
)  # fmt: skip
def test_a_weight_of_no_kl_is_refused(choices, option, got):
    with pytest.raises(InputError) as caught:
        taut.fit(TABLE, hidden=(4,), epochs=1, **choices, **{option: WEIGHTS[option]})
    assert str(caught.value) == (
        f"{option}: expected a KL from the guide to the prior that moves, which `{option}` weighs, "
        f"got {got}. Try leaving out `{option}`."
    )


@pytest.mark.parametrize(
    ("choices", "option"),
    [
        ({"num_draws": 5}, "num_draws"),
        ({"bound": "iwae"}, "num_particles"),
        ({"bound": "renyi", "alpha": 2.0}, "num_particles"),
    ],
)
def test_several_draws_of_what_is_certain_are_refused(choices, option):
    with pytest.raises(InputError) as caught:
        taut.fit(TABLE, model="flow", layers="affine", epochs=1, **choices)
    assert str(caught.value) == (
        f"{option}: expected one draw, as nothing is left to chance and the number is exact, got 5. "
        'Try bound="elbo" with num_draws=1.'
    )
