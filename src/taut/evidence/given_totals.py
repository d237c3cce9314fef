"""Rows of counts with given totals, drawn by the law by which a likelihood with `library` judges them.

    p(z, x | T)  =  p(z) prod_d p(x_d | T share_d(z)) 1[sum x = T] / Z(T)

whose p(z | x) is that of all densities of the model, which take T from the row. Counts that are drawn at
a mean total come to other totals, and say of z that they did. Each family is a mixture of Poisson counts
with rates l, and given these

    sum x  ~  Poisson(L),   L = sum l,            x | sum x = T  ~  Multinomial(T, l / L)

so that (z, l) from p(z) p(l | z, T) is kept with probability Poisson(T; L) / Poisson(T; T), and x drawn
then. The rows are exact. Of Poisson counts every proposal is kept; of negative binomial ones the share
sqrt(T / (T + sum_d T^2 share_d^2 / r_d)), about; where many zeros are extra ones, L is far below T, and
rows of that total are hardly ever made.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from taut.core import InputError, as_proposal, host_generator, option
from taut.core.compiling import kept_jit
from taut.models import LatentVariableModel

__all__ = ["drawn_given_totals"]

_MOST = 1000  # proposals of a row: all of 1000 rows are found where one in 100 is kept
_SOME = 100  # within which half of the rows are found where one in 150 is


def drawn_given_totals(
    model: LatentVariableModel,
    totals: Int[np.ndarray, " N"],
    mask: Bool[np.ndarray, "N *data"],
    *,
    key: PRNGKeyArray,
    instead: str = "",
) -> tuple[Any, Num[np.ndarray, "N *data"]]:
    """Latents and the rows that they made.

    Arguments:
        model: of counts that are judged given the totals of their rows.
        totals: of the observed cells of each row.
        mask: True where a cell is observed; the others are 0.
        key: random key.
        instead: what to try where there are none, beside another model.

    Raises:
        InputError: rows of these totals are hardly ever made.
    """
    host_key, z_key = jax.random.split(key)
    generator, number = host_generator(host_key), len(totals)
    left, latents, kept_rates = np.arange(number), None, np.zeros(mask.shape)
    for turn in range(_MOST):
        if not len(left) or (turn == _SOME and len(left) > number / 2):
            break
        turn_key = jax.random.fold_in(z_key, turn)
        z, means, outputs = jax.device_get(_proposed(model, totals, mask, turn_key))
        latents = jax.tree.map(np.array, z) if latents is None else latents
        rates = model.likelihood.rates(
            np.asarray(means[left], np.float64), outputs[left], generator
        )
        chance = _log_chance(rates.reshape(len(left), -1).sum(axis=1), totals[left])
        found = np.log1p(-generator.random(len(left))) < chance
        at = left[found]
        for leaf, new in zip(jax.tree.leaves(latents), jax.tree.leaves(z), strict=True):
            leaf[at] = new[at]
        kept_rates[at], left = rates[found], left[~found]
    if len(left):
        raise InputError(
            "rows that the model makes with the totals at which it judges them",
            f"{model.likelihood.name} counts given totals that they hardly ever come to",
            f"a model with {option('library', False)}" + (f", or {instead}" if instead else ""),
            where="simulated rows",
        )
    share = kept_rates.reshape(number, -1)
    share /= np.maximum(share.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return jax.tree.map(jnp.asarray, latents), generator.multinomial(totals, share).reshape(
        mask.shape
    )


@kept_jit
def _proposed(
    model: LatentVariableModel, totals: Any, mask: Any, key: PRNGKeyArray
) -> tuple[Any, Float[Array, "N *data"], Float[Array, "N outputs *data"]]:
    """Of each row z ~ p(z), the means of its counts and the outputs of the decoder."""

    def one(total: Array, seen: Array, z: Any) -> tuple[Array, Array]:
        outputs = model.outputs(z)
        return model.likelihood.means_at(outputs, total.astype(outputs.dtype), seen), outputs

    z = as_proposal(model.prior()).draw(key, len(totals)).z
    return z, *jax.vmap(one)(totals, mask, z)


def _log_chance(
    rates: Float[np.ndarray, " N"], totals: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """log Poisson(T; L) - log Poisson(T; T), at most 0."""
    some = totals > 0
    off = np.where(some, rates / np.where(some, totals, 1) - 1, 0.0)
    with np.errstate(divide="ignore"):
        return np.where(some, totals * (np.log1p(off) - off), -rates)
