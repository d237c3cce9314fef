"""Small architectures, and the rows that they are tried on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.data import Schema

SCHEMA = Schema(name="bits", kind="table", shape=(4,), support="binary", dtype="float64")


@pytest.fixture
def schema():
    return SCHEMA


@pytest.fixture
def perturbed():
    """A pair with every array moved away from its start, so that no term is zero by accident."""

    def move(pair, scale=0.7):
        leaves, tree = jax.tree.flatten(pair)
        rng = np.random.default_rng(5)
        moved = [
            leaf + scale * jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)
            if hasattr(leaf, "shape")
            else leaf
            for leaf in leaves
        ]
        return jax.tree.unflatten(tree, moved)

    return move
