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
from taut.models import LatentVariableModel

__all__ = ["at_total", "decode", "encode", "interpolate", "reconstruct", "sample"]


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
def decode(
    pair: AbstractPair,
    z: Float[Array, "N d"],
    totals: Float[Array | np.ndarray, " N"] | None = None,
) -> Float[Array, "N ..."]:
    """E[x | z] of each latent, in the data's units.

    `totals` are those of the rows, of counts that are given them; None for the likelihood's own.
    """
    model, _ = pair.bind()
    return jax.vmap(lambda at, total: at_total(model, total).mean(at))(z, totals)


def reconstruct(
    pair: AbstractPair,
    x: Float[Array | np.ndarray, "N ..."],
    index: Int[Array, " N"] | None = None,
    mask: Bool[Array | np.ndarray, "N ..."] | None = None,
) -> Float[Array, "N ..."]:
    """`decode` of `encode`; of counts that are given the totals of their rows at these."""
    z = encode(pair, x, index, mask)
    if _is_given_totals(pair):
        return _decoded_like(pair, jnp.asarray(x), z, mask)
    return decode(pair, z)


@transformed_jit
def _decoded_like(
    pair: AbstractPair, x: Float[Array, "N ..."], z: Float[Array, "N d"], mask: Any
) -> Float[Array, "N ..."]:
    model: Any = pair.bind()[0]
    return jax.vmap(lambda row, at, seen: model.mean_like(Datum(row, seen), at))(x, z, mask)


def interpolate(
    pair: AbstractPair,
    ends: Float[Array | np.ndarray, "2 ..."],
    index: Int[Array, " 2"] | None = None,
    mask: Bool[Array | np.ndarray, "2 ..."] | None = None,
    *,
    num_steps: int,
) -> Float[Array, "S ..."]:
    """E[x | z] along the straight line between the encodings of two rows, ends included.

    Of counts that are given the totals of their rows, the total goes straight from that of the first
    row to that of the second.

    Raises:
        InputError: fewer than two steps.
    """
    num_steps = check_count(
        num_steps, "at least two steps", "10", where=option("num_steps"), least=2
    )
    z = encode(pair, ends, index, mask)
    totals = None
    if _is_given_totals(pair):
        first, last = _totals_like(pair, jnp.asarray(ends), z, mask)
        totals = jnp.linspace(first, last, num_steps)
    return decode(pair, jnp.linspace(z[0], z[1], num_steps), totals)


@transformed_jit
def _totals_like(
    pair: AbstractPair, x: Float[Array, "N ..."], z: Float[Array, "N d"], mask: Any
) -> Float[Array, " N"]:
    model: Any = pair.bind()[0]
    return jax.vmap(lambda row, at, seen: model.total_like(Datum(row, seen), at))(x, z, mask)


def sample(
    pair: AbstractPair,
    key: PRNGKeyArray,
    num_samples: int,
    *,
    mean: bool = False,
    totals: Float[np.ndarray, " n"] | None = None,
) -> Array:
    """Draws x ~ p(x), (num_samples, *shape); with `mean`, E[x | z] of drawn z instead.

    `totals` are those at which each row is drawn, of counts that are given the totals of their rows: the
    sums of their means, less what extra zeros take. None for the likelihood's own.

    Raises:
        InputError: no sample is asked for.
    """
    num_samples = check_count(num_samples, "at least one sample", "64", where=option("num_samples"))
    return _sample(pair, key, num_samples, totals, mean=mean)


@kept_jit
def _sample(
    pair: AbstractPair, key: PRNGKeyArray, num_samples: int, totals: Any, *, mean: bool
) -> Array:
    model: Any = pair.bind()[0]
    z_key, x_key = jax.random.split(key)
    z = as_proposal(model.prior()).draw(z_key, num_samples).z

    def one(z: Any, key: PRNGKeyArray, total: Array | None) -> Array:
        own = at_total(model, total)
        return own.mean(z) if mean else own.sample(z, key)

    return jax.vmap(one)(z, jax.random.split(x_key, num_samples), totals)


def _is_given_totals(pair: AbstractPair) -> bool:
    model, _ = pair.bind()
    return isinstance(model, LatentVariableModel) and model.likelihood.given_totals


def at_total(model: Any, total: Any) -> Any:
    """The model of rows of counts of this total; as it is where none is told."""
    return model if total is None else model.at_total(jnp.asarray(total))
