"""Draws z ~ q(z | x_n) of rows, with the parts of their log-weights.

    log w = fit + log p(z) - log q(z | x_n)        nats, S draws a row

The draws stay, because other densities are asked for at them. Guides that enumerate or stratify give
draws of unequal mass, and averages go by it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    Datum,
    InputError,
    check_count,
    key_of_row,
    num_rows,
    over_rows,
    particles,
    total,
)
from taut.core.compiling import even_jit
from taut.evidence.draws import fit_of
from taut.evidence.importance import proposal_of
from taut.evidence.weights import mean_and_error
from taut.models import ChainModel

__all__ = ["DrawnLatents", "check_has_density", "drawn_latents", "numbers_of"]

_BLOCK_ROWS = 64


class DrawnLatents(NamedTuple):
    """Draws of R rows.

    Attributes:
        z: the draws, a pytree with leading axes (R, S).
        log_q: log q(z | x_n), nats, (R, S).
        log_prior: log p(z), nats, (R, S).
        fit: the rest of each log-weight, nats, (R, S).
        log_mass: of each draw, (R, S).
        numbers: the rows' numbers in their data set, (R,).
        exhaustive: whether the draws are all that there are.
        strata: how many consecutive draws are one replicate.
    """

    z: Any
    log_q: np.ndarray
    log_prior: np.ndarray
    fit: np.ndarray
    log_mass: np.ndarray
    numbers: np.ndarray
    exhaustive: bool
    strata: int

    def averaged(self, values: Float[np.ndarray, "R S"]) -> tuple[np.ndarray, np.ndarray]:
        """Averages of a function of the draws, (R,), and their standard errors over other draws."""
        if self.exhaustive:
            return mean_and_error(values, self.log_mass)
        replicates = self.log_mass.shape[1] // self.strata
        mass = np.exp(self.log_mass) * replicates
        parts = (mass * values).reshape(len(values), replicates, self.strata)
        return mean_and_error(parts.sum(axis=2))


def drawn_latents(
    model: AbstractModel, guide: Any, rows: Datum, *, key: PRNGKeyArray, num_draws: int
) -> DrawnLatents:
    """Draw S latents of each row.

    Arguments:
        model: p(x, z).
        guide: q(z | x), with a density.
        rows: a batched datum.
        key: a row draws from its `key_of_row`.
        num_draws: S, at least two; replicates of a stratified guide.

    Raises:
        InputError: see `check_has_density`; fewer than two draws.
    """
    check_has_density(model, guide, rows)
    wish = "at least two draws a row, which an error needs"
    num_draws = check_count(num_draws, wish, "8", where="num_draws", least=2)
    q = proposal_of(guide, rows)

    def minted(block: Datum, numbers: Any, _: Any) -> Any:
        return _minted(model, guide, block, numbers, key, num_draws)

    blocks = list(over_rows(minted, rows, width=_BLOCK_ROWS))
    z, *columns = jax.tree.map(lambda *leaves: np.concatenate(leaves), *blocks)
    log_q, log_prior, fit, log_mass = (np.asarray(column, np.float64) for column in columns)
    return DrawnLatents(
        z, log_q, log_prior, fit, log_mass, numbers_of(rows), q.exhaustive, q.strata
    )


def check_has_density(model: AbstractModel, guide: Any, rows: Datum) -> None:
    """Refuse what has no density q(z | x) of one latent, by which its draws are weighed.

    Raises:
        InputError: a guide that maps each row to one z, or a chain of layers.
    """
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent with a prior and a guide",
            "a chain of layers, whose latents have no prior of their own to part from",
            "its log-evidence by `taut evaluate`", where="audit",
        )  # fmt: skip
    if proposal_of(guide, rows).dirac:
        raise InputError(
            "a guide that draws z at random, as an ELBO has parts only then",
            "a model that maps each row to one z, whose log-evidence has no gap",
            "its log-evidence by `taut evaluate`", where="audit",
        )  # fmt: skip


def numbers_of(rows: Datum) -> np.ndarray:
    """The rows' numbers in their data set, or else in the batch, (N,)."""
    return np.arange(num_rows(rows)) if rows.index is None else np.asarray(rows.index)


@even_jit
def _minted(
    model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray, num_draws: int
) -> tuple[Any, Array, Array, Array, Array]:
    def one(datum: Datum, number: Any) -> Any:
        row_key = key_of_row(key, datum, number)
        made = particles(model, guide, guide, datum, row_key, num_draws)
        made.refuse_subsampled("the audit")
        log_prior, neg_log_q = (_summed(made.terms, name, made.log_mass) for name in _PARTS)
        return made.z, -neg_log_q, log_prior, fit_of(made), made.log_mass

    return jax.vmap(one)(block, numbers)


_PARTS = (LOG_PRIOR, NEG_LOG_Q)


def _summed(terms: Any, name: str, like: Float[Array, " S"]) -> Float[Array, " S"]:
    """One term at every draw, over layers and groups; zero where there is none."""
    if name not in terms:
        return jnp.zeros_like(like)
    return jnp.broadcast_to(total({name: terms[name]}, batch_ndim=1), like.shape)
