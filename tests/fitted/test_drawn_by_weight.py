"""Draws by the weights of particles take memory as both numbers grow, not as their product does."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.architectures import VAE
from taut.core import Datum
from taut.data import Schema
from taut.fitted import conditioning, resampling

SCHEMA = Schema(
    name="rows", kind="table", shape=(2,), support="real", dtype="float32",
    shift=(0.0,) * 2, scale=(1.0,) * 2,
)  # fmt: skip
ROW = Datum(jnp.asarray([1.0, jnp.nan]), jnp.asarray([True, False]), None, jnp.asarray(0))
DRAWS, PARTICLES = 3_000, 4_000
KEY = jax.random.key(0)


def filled(pair):
    block = jax.tree.map(lambda leaf: leaf[None], ROW)
    named = np.zeros(2, bool)
    return eqx.filter_jit(resampling._block.__wrapped__).lower(
        pair, block, jnp.zeros(1, int), KEY, named, (DRAWS, PARTICLES), 0
    )


def given(pair):
    resampled = eqx.filter_jit(conditioning._resampled.__wrapped__)
    return resampled.lower(pair, ROW, KEY, DRAWS, PARTICLES)


@pytest.mark.parametrize("lowered", [filled, given])
def test_no_array_has_an_entry_for_each_draw_of_each_particle(lowered):
    pair = VAE(latent_dim=1, hidden=(2,)).init(SCHEMA, KEY)
    memory = lowered(pair).compile().compiled.memory_analysis()
    assert memory.temp_size_in_bytes < 4 * DRAWS * PARTICLES / 4
