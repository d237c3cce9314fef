"""How the latents are used: active dimensions, their KL, and whether the guide has collapsed.

    Var[z_j] = Var_n(E[z_j | x_n]) + E_n(Var[z_j | x_n])        under q_agg, by the law of total variance

A dimension is active where rows move its mean: where the first part is more than a hundredth of the
whole. The threshold is that of Burda, Grosse and Salakhutdinov (2016) for latents of unit variance, here
free of the units of z. A latent of categories is one dimension, however many entries mark its outcome;
its variance is that of these entries together. Beside the number of active ones stands that of
dimensions whose KL is a tenth of a nat or more: a mean that rows move a little, under a wide posterior,
is active and tells next to nothing.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    Particles,
    as_proposal,
    key_of_row,
    over_rows,
    particles,
    weighted_sum,
)
from taut.core.compiling import even_jit
from taut.evidence.draws import kl_of_draws, log_ratios

__all__ = ["LatentUse", "latent_use"]

_ACTIVE = 0.01  # of a dimension's variance
_NOTHING = 0.1  # nats: a KL below it carries no more than a coin that is seldom thrown
_BLOCK_ROWS = 64
_DRAWS = 64  # which leave moved shares an error of a fifth of the threshold for 100 rows


class LatentUse(NamedTuple):
    """What rows do with the latents.

    Attributes:
        moved: share of each dimension's variance that is the rows', (d,).
        kls: KL(q to prior) of each dimension or group of latents, closed or over draws; nats per row.
        kl: their sum.
        size: how many numbers the decoder reads of z, d or more.
    """

    moved: Float[np.ndarray, " d"]
    kls: tuple[Estimate, ...]
    kl: Estimate
    size: int

    @property
    def active(self) -> np.ndarray:
        """Which dimensions rows move, (d,)."""
        return self.moved > _ACTIVE

    @property
    def num_active(self) -> int:
        """How many."""
        return int(self.active.sum())

    @property
    def num_with_kl(self) -> int | None:
        """How many have a KL of a tenth of a nat or more; None where it is not known for each."""
        if len(self.kls) != len(self.moved):
            return None
        return sum(kl.value >= _NOTHING for kl in self.kls)

    @property
    def collapsed(self) -> bool:
        """Whether z says next to nothing about x: no dimension active, or hardly any KL."""
        return self.num_active == 0 or self.kl.value < _NOTHING


def latent_use(pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> LatentUse:
    """Look at the posteriors of rows.

    Arguments:
        pair: model and guide.
        rows: a batched datum, at least two.
        key: random key.
    """
    model, guide = pair.bind()

    def seen(block: Datum, numbers: Any, _: Any) -> Any:
        return _seen(model, guide, block, numbers, key)

    blocks = list(over_rows(seen, rows, width=_BLOCK_ROWS))
    mean, variance, noise, kl, error, of_sum = (
        np.concatenate([np.asarray(block[i], np.float64) for block in blocks]) for i in range(6)
    )
    of = _variables(model, guide, rows, mean.shape[1])
    # Means over draws have noise, which adds to the variance between rows what that within lacks.
    noise = noise.mean(axis=0)
    between = np.maximum(np.bincount(of, mean.var(axis=0) - noise), 0.0)
    within = np.bincount(of, variance.mean(axis=0) + noise)
    with np.errstate(invalid="ignore"):
        moved = np.nan_to_num(between / (between + within))

    def estimate(values: np.ndarray, errors: np.ndarray) -> Estimate:
        side = "unbiased" if errors.any() else "exact"
        return Estimate.from_rows(values, side=side, mc_errors=errors, index=rows.index)

    kls = tuple(estimate(kl[:, g], error[:, g]) for g in range(kl.shape[1]))
    return LatentUse(moved, kls, estimate(kl.sum(axis=1), of_sum), mean.shape[1])


def _variables(model: AbstractModel, guide: Any, rows: Datum, size: int) -> Int[np.ndarray, " n"]:
    """Of each number that the decoder reads of z, which latent variable it belongs to, from 0 on."""
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    forms, drawn = eqx.filter_eval_shape(_form_and_draw, guide, example)
    if not any(jax.tree.leaves(forms)):
        return np.arange(size)
    leaves, structure = jax.tree.flatten(drawn)
    marks, first = [], 0
    flags = jax.tree.map(lambda flag, part: jax.tree.map(lambda _: flag, part), forms, drawn)
    for flag, leaf in zip(jax.tree.leaves(flags), leaves, strict=True):
        shape = leaf.shape[1:]
        own = np.arange(np.prod(shape[:-1] if flag else shape, dtype=int)) + first
        first += len(own)
        mark = own.reshape(*shape[:-1], 1) if flag else own.reshape(shape)
        marks.append(jnp.broadcast_to(jnp.asarray(mark, float), shape))
    read = _vector(model.code(jax.tree.unflatten(structure, marks)))
    return np.unique(np.asarray(read), return_inverse=True)[1]


def _form_and_draw(guide: Any, datum: Datum) -> tuple[Any, Any]:
    q = as_proposal(guide(datum))
    return q.one_hot, q.draw(jax.random.key(0), 1).z


@even_jit
def _seen(
    model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Mean and variance of what the decoder reads of z, and the squared error of the mean, (B, d); the
    KL of each group and its error, (B, G), and the error of their sum, (B,)."""

    def one(datum: Datum, number: Any) -> Any:
        row_key = key_of_row(key, datum, number)
        made = particles(model, guide, guide, datum, row_key, _DRAWS)
        code = jax.vmap(lambda z: _vector(model.code(z)))(made.z)
        mass = jnp.exp(made.log_mass)
        mean = mass @ code
        variance = mass @ (code - mean) ** 2
        noise = jnp.where(made.exhaustive, 0.0, _error(_replicates(made, code)) ** 2)
        if made.kl is not None:
            each = jax.vmap(weighted_sum, in_axes=(None, 1))(made.log_mass, made.kl)
            if not kl_of_draws(model, guide, datum, made):
                return mean, variance, noise, each, jnp.zeros_like(each), jnp.zeros(())
            # From the first draw, so that what is the same at all draws has no rounding to spread.
            moved = made.kl - made.kl[0]
            of_sum = _error(jnp.sum(moved, axis=1))
            return mean, variance, noise, each, _error(moved), of_sum
        sampled = log_ratios(made)
        kl = weighted_sum(made.log_mass, sampled)[None]
        error = jnp.where(made.exhaustive, 0.0, _error(_replicates(made, sampled)))
        return mean, variance, noise, kl, error[None], error

    return jax.vmap(one)(block, numbers)


def _replicates(made: Particles, values: Float[Array, "K *d"]) -> Float[Array, "R *d"]:
    """The mean of each replicate: of the draws themselves, or of those of all strata by their mass."""
    if made.strata == 1:
        return values
    log_q = made.log_mass + jnp.log(float(_DRAWS))  # masses of a replicate add up to one
    log_q, parts = (leaf.reshape(_DRAWS, made.strata, -1) for leaf in (log_q, values))
    over_strata = jax.vmap(weighted_sum, in_axes=(None, 1))
    return jax.vmap(over_strata)(log_q[..., 0], parts).reshape(_DRAWS, *values.shape[1:])


def _error(values: Float[Array, "K *G"]) -> Float[Array, "*G"]:
    """Standard error of a mean over draws."""
    return jnp.std(values, axis=0) / jnp.sqrt(values.shape[0] - 1.0)


def _vector(code: Any) -> Float[Array, " d"]:
    leaves = [jnp.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(code)]
    return jnp.concatenate([leaf.astype(jnp.result_type(float)) for leaf in leaves])
