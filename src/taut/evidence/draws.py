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
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    Datum,
    Particles,
    as_proposal,
    key_of_row,
    log_weighted_sum,
    num_rows,
    over_rows,
    particles,
    total,
    weighted_sum,
)
from taut.core.compiling import even_jit, steady_jit

__all__ = ["RowDraws", "fit_of", "kl_of", "kl_of_draws", "log_ratios", "weighted_draws"]

_BLOCK_ROWS = 16
# Rows x particles held at once. Products with 1024 rows run at full speed, but what surrounds them gains
# up to 4096.
_CHUNK_DRAWS = 4096
_FEW_DRAWS = 2**19  # of all rows, which take no longer than the faster program takes to compile


class RowDraws(NamedTuple):
    """Weighted draws of R rows, without the draws.

    What is averaged for the ELBO is fit - kl.

    Attributes:
        log_w: log-weights, nats, (R, K); of a stratified guide those of its K replicates, each
            log sum_c q(c) w_c over the strata c.
        fit: the part of log_w outside the prior and -log q: the log-likelihood, nats, (R, K),
            averaged over the strata.
        log_mass: (R, K) where the draws exhaust the guide's support, else None: each has mass 1/K.
        kl: KL(q to prior), nats: in closed form, (R,); else what is averaged over the draws for it,
            (R, K) (`kl_of`). Both are finite also where the log-likelihood is -inf.
    """

    log_w: Any
    fit: Any
    log_mass: Any
    kl: Any


def weighted_draws(
    model: AbstractModel,
    guide: Any,
    rows: Datum,
    *,
    key: PRNGKeyArray,
    num_particles: int,
    begin: int = 0,
) -> Iterator[RowDraws]:
    """Mint K draws for every row, a block of rows at a time.

    Arguments:
        model: p(x, z).
        guide: q(z | x).
        rows: a batched datum.
        key: a row draws from its `key_of_row`.
        num_particles: K.
        begin: number of the first row, where a block begins.

    Raises:
        InputError: the log-weights are subsampled over a plate.
    """
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    q = eqx.filter_eval_shape(lambda g, d: as_proposal(g(d)), guide, example)
    # Whatever the number of rows, so that the draws of a row are the same among few and many.
    chunks = min(math.ceil(num_particles * q.strata * _BLOCK_ROWS / _CHUNK_DRAWS), num_particles)
    chunk = math.ceil(num_particles / chunks)

    few = num_rows(rows) * num_particles * q.strata <= _FEW_DRAWS
    mint = _mint_few if few else _mint_many

    def minted(block: Datum, numbers: Any, part: Any) -> RowDraws:
        return mint(model, guide, block, numbers, key, part, chunk)

    if q.exhaustive:
        outcomes = eqx.filter_eval_shape(lambda q: q.draw(key, 1).log_mass, q).shape[0]
        width = max(min(_BLOCK_ROWS, _CHUNK_DRAWS // outcomes), 1)
        yield from over_rows(minted, rows, width=width, begin=begin)
        return
    parts = over_rows(minted, rows, width=_BLOCK_ROWS, parts=chunks, begin=begin)
    for first in parts:
        yield _joined(first, parts, chunks, num_particles)


def _joined(
    first: RowDraws, others: Iterator[RowDraws], chunks: int, num_particles: int
) -> RowDraws:
    """All chunks of a block as one."""
    kept, chunk = first.fit.shape
    # Filled in place: each chunk leaves the device before the next but one is made.
    log_w, fit = (np.empty((kept, chunks * chunk), np.float64) for _ in range(2))
    kls = []
    for part in range(chunks):
        drawn = next(others) if part else first
        here = slice(part * chunk, (part + 1) * chunk)
        log_w[:, here], fit[:, here] = drawn.log_w, drawn.fit
        kls.append(np.asarray(drawn.kl, np.float64))
    of_draws = kls[0].ndim > 1
    kl = np.hstack(kls)[:, :num_particles] if of_draws else np.mean(kls, axis=0)
    return RowDraws(log_w[:, :num_particles], fit[:, :num_particles], None, kl)


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

    def one(datum: Datum, number: Any) -> RowDraws:
        row_key = jax.random.fold_in(key_of_row(key, datum, number), part)
        minted = particles(model, guide, guide, datum, row_key, chunk)
        minted.refuse_subsampled("the evidence")
        fit, kl = fit_of(minted), kl_of(model, guide, datum, minted)
        if minted.strata == 1:
            return RowDraws(minted.log_w, fit, minted.log_mass, kl)
        return _replicates(minted, fit, kl)

    return jax.vmap(one)(block, numbers)


def fit_of(minted: Particles) -> Float[Array, " K"]:
    """The part of each log-weight outside the prior and -log q, nats."""
    outside = {n: t for n, t in minted.terms.items() if n not in (LOG_PRIOR, NEG_LOG_Q)}
    return jnp.broadcast_to(total(outside, batch_ndim=1), minted.log_mass.shape)


def kl_of(
    model: AbstractModel, guide: Any, datum: Datum, minted: Particles
) -> Float[Array, ""] | Float[Array, " K"]:
    """KL(q to prior), nats: closed, (), or what is averaged over the draws for it, (K,).

    Without a rule that is log q(z given x) - log p(z), less its noise where the draws bring a control.
    Draws that exhaust the guide's support close the KL: it is the mean over them.
    """
    if minted.kl is not None:
        kl = jnp.sum(minted.kl, axis=1)
        return kl if kl_of_draws(model, guide, datum, minted) else weighted_sum(minted.log_mass, kl)
    kl = log_ratios(minted)
    if minted.exhaustive:
        return weighted_sum(minted.log_mass, kl)
    return kl if minted.control is None else kl - minted.control


def log_ratios(minted: Particles) -> Float[Array, " K"]:
    """log q(z given x) - log p(z) at each draw, nats, also of draws whose log-weight is -inf."""
    inside = {n: t for n, t in minted.terms.items() if n in (LOG_PRIOR, NEG_LOG_Q)}
    return jnp.broadcast_to(-total(inside, batch_ndim=1), minted.log_mass.shape)


def kl_of_draws(model: AbstractModel, guide: Any, datum: Datum, minted: Particles) -> bool:
    """Whether the closed KL is of each draw, as of layers given those above, in place of the guide."""
    if minted.kl is None or minted.exhaustive or minted.strata > 1:
        return False  # masses of all outcomes or strata make it that of the guide

    def kl(z: Any) -> Any:
        return model.kl(datum, as_proposal(guide(datum)), z)

    try:  # what is the same at all draws needs no axis over them
        eqx.filter_eval_shape(jax.vmap(kl, out_axes=None), minted.z)
    except ValueError:
        return True
    return False


_mint_few, _mint_many = even_jit(_mint), steady_jit(_mint)


def _replicates(minted: Particles, fit: Array, kl: Array) -> RowDraws:
    """Each replicate of the strata as one draw of equal mass."""

    def by_stratum(values: Array) -> Array:
        return values.reshape(-1, minted.strata)

    log_q, log_w = by_stratum(minted.log_mass), by_stratum(minted.log_w)
    log_q = log_q + jnp.log(float(log_q.shape[0]))  # masses of a replicate add up to one
    return RowDraws(
        log_w=jax.vmap(log_weighted_sum)(log_q, log_w),
        fit=jax.vmap(weighted_sum)(log_q, by_stratum(fit)),
        log_mass=minted.log_mass,
        kl=jax.vmap(weighted_sum)(log_q, by_stratum(kl)) if kl.ndim else kl,
    )
