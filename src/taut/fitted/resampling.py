"""Imputation by a model with a decoder: missing cells by importance resampling from the guide.

    z_k ~ q(z | x_o),    w_k proportional to p(x_o, z_k) / q(z_k | x_o),    x_k ~ p(x_m | z_k)

    mean         sum_k w_k E[x_m | z_k]
    mode         of bits and categories the value with the largest sum_k w_k [x_k = value], else the mean
    deviation    that of x_k under w_k; of a category, the probability that it is not the mode
    draws        x_k, each drawn with probability w_k

Of a model that says which cells are missing (`taut.models.SelfMasking`) w_k and x_k are those given that
x_m is missing. Missing counts of a likelihood with `library` are those of a row with the total that its
observed ones tell. Cells are independent given z, so that the draws of a row are joint draws of its
missing cells. All are those of p(x_m | x_o) as K grows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import (
    AbstractPair,
    Datum,
    InputError,
    check_count,
    key_of_row,
    option,
    over_rows,
    particles,
)
from taut.core.compiling import kept_jit
from taut.data import Schema
from taut.fitted.imputing import Imputed
from taut.models import LatentVariableModel

__all__ = ["resampled"]

_WIDTH = 64  # rows whose particles are held together


def resampled(
    pair: AbstractPair,
    rows: Datum,
    schema: Schema,
    *,
    num_draws: int,
    num_particles: int,
    key: PRNGKeyArray,
) -> Imputed:
    """The rows with their missing cells filled in.

    Arguments:
        pair: a model with a decoder, and its guide.
        rows: a batched datum.
        schema: what the cells are.
        num_draws: S; 0 for none.
        num_particles: K.
        key: random key; the draws of a row depend on its number in its data set alone, or else on that
            in the batch.

    Raises:
        InputError: a model without a decoder; no particle.
    """
    model = pair.bind()[0]
    if not isinstance(model, LatentVariableModel):
        raise InputError(
            "a model with a decoder, such as a VAE", f"a {type(model).__name__}",
            option("model", "vae"), where="impute",
        )  # fmt: skip
    where, remedy = option("num_particles"), option("num_particles", 1000)
    num_particles = check_count(num_particles, "at least one particle", remedy, where=where)
    levels, named = _levels(schema)

    def program(block: Datum, numbers: Any, _: Any) -> tuple[Any, ...]:
        return _block(pair, block, numbers, key, named, (num_draws, num_particles), levels)

    known = Datum(rows.x, rows.mask, None, rows.index)
    blocks = list(over_rows(program, known, width=_WIDTH))
    mean, mode, deviation, draws = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return Imputed(mean, mode, deviation, np.moveaxis(draws, 1, 0))


def _levels(schema: Schema) -> tuple[int, np.ndarray]:
    """The most values of a cell that is no number, and which cells are none, of a row's shape."""
    if schema.kinds is None:
        alike = schema.support in ("binary", "categorical")
        return (schema.levels or 2) if alike else 0, np.full(schema.shape, alike)
    numbers = [{"binary": 2}.get(c.kind, len(c.names)) for c in schema.kinds]
    return max(numbers), np.asarray(numbers) > 0


@kept_jit
def _block(
    pair: AbstractPair,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    named: Any,
    sizes: tuple[int, int],
    levels: int,
) -> tuple[Any, ...]:
    """Of the rows of a block, by their numbers."""
    model, guide = pair.bind()

    def one(datum: Datum, number: Any) -> tuple[Any, ...]:
        row_key = key_of_row(key, datum, number)
        return _filled(model, guide, datum, row_key, sizes=sizes, levels=levels, named=named)

    return jax.vmap(one)(block, numbers)


def _filled(
    model: Any,
    guide: Any,
    datum: Datum,
    key: PRNGKeyArray,
    *,
    sizes: tuple[int, int],
    levels: int,
    named: Any,
) -> tuple[Any, ...]:
    """Mean, mode, deviation and draws of one row."""
    z_key, x_key, choice_key = jax.random.split(key, 3)
    made = particles(model, guide, guide, datum, z_key, sizes[1])
    log_w = made.log_mass + made.log_w
    weight = jax.nn.softmax(log_w)
    keys = jax.random.split(x_key, len(weight))
    x = jax.vmap(lambda z, own: model.hidden_sample(datum, z, own))(made.z, keys)
    x = x.astype(datum.x.dtype)
    means = jax.vmap(lambda z: model.hidden_mean(datum, z))(made.z)
    mean = jnp.tensordot(weight, means, axes=1)
    deviation = jnp.sqrt(jnp.tensordot(weight, (x - mean) ** 2, axes=1))
    mode = mean
    if levels:
        votes = jnp.stack([jnp.tensordot(weight, x == code, axes=1) for code in range(levels)])
        mode = jnp.where(named, jnp.argmax(votes, axis=0), mode)
        deviation = jnp.where(named, 1 - jnp.max(votes, axis=0), deviation)
    # Along the sums of the weights; a Gumbel variate for each draw and particle would take S K of them.
    draws = x[jax.random.choice(choice_key, len(weight), (sizes[0],), p=weight)]
    seen = jnp.ones(mean.shape, bool) if datum.mask is None else datum.mask
    known = jnp.where(seen, datum.x, 0)
    mean, mode, draws = (jnp.where(seen, known, part) for part in (mean, mode, draws))
    return mean, mode, jnp.where(seen, 0, deviation), draws
