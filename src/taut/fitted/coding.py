"""From rows to latents and back: encode, decode, reconstruct, interpolate and sample, as functions.

All take a pair and arrays of rows or latents with a leading axis; they are differentiable and jitted.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core import AbstractPair, Datum, as_proposal, check_count, option
from taut.core.compiling import kept_jit, transformed_jit

__all__ = ["decode", "encode", "interpolate", "reconstruct", "sample"]


@transformed_jit
def encode(
    pair: AbstractPair,
    x: Float[Array | np.ndarray, "N ..."],
    index: Int[Array, " N"] | None = None,
    mask: Bool[Array | np.ndarray, "N ..."] | None = None,
) -> Float[Array, "N d"]:
    """Mean of q(z | x) of each row; `index` numbers them for a guide that goes by numbers.

    `mask` is True where a cell is observed, None where all are.

    Where the mean has no closed form it is the point that the proposal names (`center`): the image of
    the base's mean under a flow, the means of a ladder given those of the layers above, one path from a
    fixed key through a chain that draws.
    """
    model, guide = pair.bind()

    def one(row: Any, number: Any, seen: Any) -> Float[Array, " d"]:
        return model.code(as_proposal(guide(Datum(row, seen, index=number))).center())

    return jax.vmap(one)(x, index, mask)


@transformed_jit
def decode(pair: AbstractPair, z: Float[Array, "N d"]) -> Float[Array, "N ..."]:
    """E[x | z] of each latent, in the data's units."""
    model, _ = pair.bind()
    return jax.vmap(model.mean)(z)


def reconstruct(
    pair: AbstractPair,
    x: Float[Array | np.ndarray, "N ..."],
    index: Int[Array, " N"] | None = None,
    mask: Bool[Array | np.ndarray, "N ..."] | None = None,
) -> Float[Array, "N ..."]:
    """`decode` of `encode`."""
    return decode(pair, encode(pair, x, index, mask))


def interpolate(
    pair: AbstractPair,
    ends: Float[Array | np.ndarray, "2 ..."],
    index: Int[Array, " 2"] | None = None,
    mask: Bool[Array | np.ndarray, "2 ..."] | None = None,
    *,
    num_steps: int,
) -> Float[Array, "S ..."]:
    """E[x | z] along the straight line between the encodings of two rows, ends included.

    Raises:
        InputError: fewer than two steps.
    """
    num_steps = check_count(
        num_steps, "at least two steps", "10", where=option("num_steps"), least=2
    )
    a, b = encode(pair, ends, index, mask)
    return decode(pair, jnp.linspace(a, b, num_steps))


def sample(pair: AbstractPair, key: PRNGKeyArray, num_samples: int, *, mean: bool = False) -> Array:
    """Draws x ~ p(x), (num_samples, *shape); with `mean`, E[x | z] of drawn z instead.

    Raises:
        InputError: no sample is asked for.
    """
    num_samples = check_count(num_samples, "at least one sample", "64", where=option("num_samples"))
    return _sample(pair, key, num_samples, mean=mean)


@kept_jit
def _sample(pair: AbstractPair, key: PRNGKeyArray, num_samples: int, *, mean: bool) -> Array:
    model, _ = pair.bind()
    z_key, x_key = jax.random.split(key)
    z = as_proposal(model.prior()).draw(z_key, num_samples).z
    if mean:
        return jax.vmap(model.mean)(z)
    return jax.vmap(model.sample)(z, jax.random.split(x_key, num_samples))
