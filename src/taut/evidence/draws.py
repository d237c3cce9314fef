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

__all__ = ["RowDraws", "fit_and_kl", "kl_of_draws", "log_ratios", "weighted_draws"]

_BLOCK_ROWS = 16
# Rows x particles held at once. Products with 1024 rows run at full speed, but what surrounds them gains
# up to 4096.
_CHUNK_DRAWS = 4096
_FEW_DRAWS = 2**19  # of all rows, which take no longer than the faster program takes to compile


class RowDraws(NamedTuple):
    """Weighted draws of R rows, without the draws.

    Attributes:
        log_w: log-weights, nats, (R, K); of a stratified guide those of its K replicates, each
            log sum_c q(c) w_c over the strata c.
        fit: the part of log_w outside the prior and -log q: the log-likelihood, nats, (R, K),
            averaged over the strata.
        log_mass: (R, K) where the draws exhaust the guide's support, else None: each has mass 1/K.
        kl: KL(q to prior) in closed form, nats, (R,), averaged over draws; (R, K) where it is known
            given each draw alone (`kl_of_draws`); None without a rule.
        elbo: what is averaged for the ELBO, nats, (R, K): of strata sum_c q(c) log w_c of each
            replicate, else log_w less its noise where the draws bring a control; None where it is log_w.
    """

    log_w: Any
    fit: Any
    log_mass: Any
    kl: Any
    elbo: Any = None


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
    elbo = None if first.elbo is None else np.empty_like(log_w)
    kls = []
    for part in range(chunks):
        drawn = next(others) if part else first
        here = slice(part * chunk, (part + 1) * chunk)
        log_w[:, here], fit[:, here] = drawn.log_w, drawn.fit
        if elbo is not None:
            elbo[:, here] = drawn.elbo
        if drawn.kl is not None:
            kls.append(np.asarray(drawn.kl, np.float64))
    kl = None
    if kls:
        of_draws = kls[0].ndim > 1
        kl = np.hstack(kls)[:, :num_particles] if of_draws else np.mean(kls, axis=0)
    log_w, fit, elbo = (a if a is None else a[:, :num_particles] for a in (log_w, fit, elbo))
    return RowDraws(log_w, fit, None, kl, elbo)


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
        fit, kl = fit_and_kl(minted)
        if minted.kl is not None and kl_of_draws(model, guide, datum, minted):
            kl = jnp.sum(minted.kl, axis=1)
        if minted.strata == 1:
            elbo = None if minted.control is None else minted.log_w + minted.control
            return RowDraws(minted.log_w, fit, minted.log_mass, kl, elbo)
        return _replicates(minted, fit, kl)

    return jax.vmap(one)(block, numbers)


def fit_and_kl(minted: Particles) -> tuple[Float[Array, " K"], Float[Array, ""] | None]:
    """The part of each log-weight outside the prior and -log q, and the closed KL over draws; nats.

    Draws that exhaust the guide's support close the KL: it is the mean of their `log_ratios`.
    """
    outside = {n: t for n, t in minted.terms.items() if n not in (LOG_PRIOR, NEG_LOG_Q)}
    fit = jnp.broadcast_to(total(outside, batch_ndim=1), minted.log_mass.shape)
    if minted.kl is not None:
        return fit, weighted_sum(minted.log_mass, jnp.sum(minted.kl, axis=1))
    return fit, weighted_sum(minted.log_mass, log_ratios(minted)) if minted.exhaustive else None


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


def _replicates(minted: Particles, fit: Array, kl: Array | None) -> RowDraws:
    """Each replicate of the strata as one draw of equal mass."""

    def by_stratum(values: Array) -> Array:
        return values.reshape(-1, minted.strata)

    log_q, log_w = by_stratum(minted.log_mass), by_stratum(minted.log_w)
    log_q = log_q + jnp.log(float(log_q.shape[0]))  # masses of a replicate add up to one
    return RowDraws(
        log_w=jax.vmap(log_weighted_sum)(log_q, log_w),
        fit=jax.vmap(weighted_sum)(log_q, by_stratum(fit)),
        log_mass=minted.log_mass,
        kl=kl,
        elbo=jax.vmap(weighted_sum)(log_q, log_w),
    )
