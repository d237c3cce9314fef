"""Log-weights of many draws for many rows, in chunks whose size is fixed by memory.

Peak memory does not grow with K on the device: K draws are minted in equal chunks, and of each draw
two numbers come back.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from taut.core import (
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    Datum,
    as_proposal,
    num_rows,
    particles,
    total,
)

__all__ = ["RowDraws", "weighted_draws"]

_BLOCK_ROWS = 16
_CHUNK_DRAWS = (
    1024  # rows x particles held at once: matrix products with as many rows run at full speed
)


class RowDraws(NamedTuple):
    """Weighted draws of R rows, without the draws.

    Attributes:
        log_w: log-weights, nats, (R, K).
        fit: the part of log_w outside the prior and -log q: the log-likelihood, nats, (R, K).
        log_mass: (R, K) where the draws exhaust the guide's support, else None: each has mass 1/K.
        kl: KL(q to prior) in closed form, nats, (R,), averaged over draws; None without a rule.
    """

    log_w: Any
    fit: Any
    log_mass: Any
    kl: Any


def weighted_draws(
    model: AbstractModel, guide: Any, rows: Datum, *, key: PRNGKeyArray, num_particles: int
) -> Iterator[RowDraws]:
    """Mint K draws for every row, a block of rows at a time.

    Arguments:
        model: p(x, z).
        guide: q(z | x).
        rows: a batched datum.
        key: row i draws from `fold_in(key, i)`.
        num_particles: K.

    Raises:
        InputError: the log-weights are subsampled over a plate.
    """
    num = num_rows(rows)
    width = min(_BLOCK_ROWS, num)
    chunks = math.ceil(num_particles * width / _CHUNK_DRAWS)
    chunk = math.ceil(num_particles / chunks)
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    exhaustive = eqx.filter_eval_shape(lambda g, d: as_proposal(g(d)), guide, example).exhaustive

    for first in range(0, num, width):
        # Every block has one shape, which compiles once: the last is padded with its last row.
        numbers = np.minimum(np.arange(first, first + width), num - 1)
        kept = min(width, num - first)
        block = jax.tree.map(lambda leaf, n=numbers: leaf[n], rows)
        if exhaustive:
            drawn = _mint(model, guide, block, numbers, key, np.int32(0), chunk)
            yield jax.tree.map(lambda a, kept=kept: np.asarray(a)[:kept], drawn)
            continue
        # Filled in place: leaving the device at once keeps one chunk there, however many there are.
        log_w, fit = (np.empty((kept, chunks * chunk), np.float64) for _ in range(2))
        kls = []
        for part in range(chunks):
            drawn = _mint(model, guide, block, numbers, key, np.int32(part), chunk)
            here = slice(part * chunk, (part + 1) * chunk)
            log_w[:, here], fit[:, here] = drawn.log_w[:kept], drawn.fit[:kept]
            if drawn.kl is not None:
                kls.append(np.asarray(drawn.kl, np.float64)[:kept])
        kl = np.mean(kls, axis=0) if kls else None
        yield RowDraws(log_w[:, :num_particles], fit[:, :num_particles], None, kl)


@eqx.filter_jit
def _mint(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    part: Any,
    chunk: int,
) -> RowDraws:
    """A chunk of particles for each row of a block."""

    def one(datum: Datum, number: Any) -> tuple[Array, Array, Array, Array | None]:
        row_key = jax.random.fold_in(jax.random.fold_in(key, number), part)
        minted = particles(model, guide, guide, datum, row_key, chunk)
        minted.refuse_subsampled("the evidence")
        outside = {n: t for n, t in minted.terms.items() if n not in (LOG_PRIOR, NEG_LOG_Q)}
        fit = jnp.broadcast_to(total(outside, batch_ndim=1), minted.log_mass.shape)
        kl = None if minted.kl is None else jnp.mean(jnp.sum(minted.kl, axis=1))
        return minted.log_w, fit, minted.log_mass, kl

    return RowDraws(*jax.vmap(one)(block, numbers))
