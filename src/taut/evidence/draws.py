"""Log-weights of many draws for many rows, in chunks whose size is fixed by memory.

Peak memory does not grow with K on the device: K draws are minted in equal chunks, and of each only
three numbers a draw come back.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from taut.core import LOG_PRIOR, NEG_LOG_Q, AbstractModel, Datum, Particles, num_rows, particles

__all__ = ["RowDraws", "weighted_draws"]

_CHUNK_ROWS = 64
_CHUNK_CELLS = 2**21  # decoder outputs held at once: 8 MiB a copy in float32


class RowDraws(NamedTuple):
    """Weighted draws of R rows, without the draws.

    Attributes:
        log_w: log-weights, nats, (R, K).
        fit: the part of log_w outside the prior and -log q: the log-likelihood, nats, (R, K).
        log_mass: (R, K) where the draws exhaust the guide's support, else None: each has mass 1/K.
        kl: KL(q to prior) in closed form, nats, (R,), averaged over draws; None without a rule.
    """

    log_w: Float[np.ndarray, "R K"]
    fit: Float[np.ndarray, "R K"]
    log_mass: Float[np.ndarray, "R K"] | None
    kl: Float[np.ndarray, " R"] | None


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
    total = num_rows(rows)
    width = min(_CHUNK_ROWS, total)
    cells = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(rows.x))
    chunks = math.ceil(num_particles / max(1, _CHUNK_CELLS // (width * cells)))
    chunk = math.ceil(num_particles / chunks)

    for first in range(0, total, width):
        # Every block has one shape, which compiles once: the last is padded with its last row.
        numbers = np.minimum(np.arange(first, first + width), total - 1)
        kept = min(width, total - first)
        block = jax.tree.map(lambda leaf, n=numbers: leaf[n], rows)
        parts = [_mint(model, guide, block, numbers, key, np.int32(0), chunk)]
        for part in range(1, 1 if parts[0].exhaustive else chunks):
            parts.append(_mint(model, guide, block, numbers, key, np.int32(part), chunk))
        parts = [jax.tree.map(lambda a, kept=kept: np.asarray(a)[:kept], p) for p in parts]
        yield _row_draws(parts, num_particles)


@eqx.filter_jit
def _mint(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    part: Any,
    chunk: int,
) -> Particles:
    """A chunk of particles for each row of a block, without their z."""

    def one(datum: Datum, number: Any) -> Particles:
        row_key = jax.random.fold_in(jax.random.fold_in(key, number), part)
        minted = particles(model, guide, guide, datum, row_key, chunk)
        minted.refuse_subsampled("the evidence")
        return eqx.tree_at(lambda p: p.z, minted, None)

    return jax.vmap(one)(block, numbers)


def _row_draws(parts: list[Particles], num_particles: int) -> RowDraws:
    exhaustive = parts[0].exhaustive
    inner = (LOG_PRIOR, NEG_LOG_Q)
    log_w, fit, kl = [], [], []
    for p in parts:
        terms = {name: _summed(t) for name, t in p.terms.items()}
        log_w.append(sum(terms.values()))
        fit.append(
            sum((t for n, t in terms.items() if n not in inner), start=np.zeros_like(p.log_mass))
        )
        if p.kl is not None:
            kl.append(np.asarray(p.kl, np.float64).sum(axis=-1).mean(axis=-1))
    keep = slice(None) if exhaustive else slice(num_particles)
    return RowDraws(
        log_w=np.concatenate(log_w, axis=1)[:, keep],
        fit=np.concatenate(fit, axis=1)[:, keep],
        log_mass=np.asarray(parts[0].log_mass, np.float64) if exhaustive else None,
        kl=np.mean(kl, axis=0) if kl else None,
    )


def _summed(term: Any) -> np.ndarray:
    """Over layers and groups, in float64: (R, K, ...) to (R, K)."""
    return np.asarray(term, np.float64).sum(axis=tuple(range(2, term.ndim)))
