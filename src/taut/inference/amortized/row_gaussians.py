"""A Gaussian for each row, fitted to its posterior by natural gradients from the encoder's answer.

    q_i = argmax over N(m, L L^T) of the average of log w over K fixed draws of row i

The draws are balanced and common to all rows, so that each row's bound is a deterministic function with
a second-order step (`taut.inference.posterior.natural_gradient`), which takes a few evaluations. Rows
go in blocks of one compiled shape; a block runs until its slowest row has converged. Where log w still
varies at the optimum, the fit is too narrow for a posterior that is no Gaussian: it is widened and
gets tails.

Whatever a fit reaches, q_i is one distribution, fixed before anything is drawn from it for an estimate:
importance sampling from it stays unbiased for p(x).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractProposal,
    Datum,
    DistributionProposal,
    InputError,
    as_proposal,
    host_generator,
    key_of_row,
    num_rows,
    over_rows,
)
from taut.core.compiling import even_jit, steady_jit
from taut.core.kept_rows import kept_rows
from taut.evidence.coordinates import refuse_what_cannot_move
from taut.evidence.importance import proposal_of
from taut.guides import PerDatumGuide, TailedGaussian
from taut.inference.posterior.natural_gradient import NaturalGradientResult, ascend
from taut.inference.posterior.spherical_radial import spherical_radial

__all__ = [
    "RowGaussians",
    "check_refinable",
    "climbed",
    "fit_draws",
    "fixed_draws",
    "kept_members",
    "numbered",
    "row_gaussians",
]

_BLOCK_ROWS = 16  # whose fits are one program

_CHUNK = 64  # draws at once: with their gradients, as much memory as the draws of an estimate
_LEAST_DRAWS = 64  # or 2 d, the least that are balanced: with more, weights vary no less
_FEW_DRAWS = 2**15  # of all rows, which take no longer than the faster program takes to compile
_START_DRAWS = 64  # of the guide, for the mean and the scales of the start
_MOST_LATENTS = 256  # a factor L for each row, and its eigenvectors in every step
_TOLERANCE = 10.0  # nats that a step may still promise, in units of the root of the rounding
_MOST_STEPS = 60
_VARIES = 0.01  # nats: standard deviation of log w below which the Gaussian is the posterior
# Times d^{-1/2}: scales of a member with tails are so much wider, for 0.1 nat of its bound.
_WIDER = 0.3


class RowGaussians(NamedTuple):
    """Fitted Gaussians.

    Attributes:
        guide: finds each row's by its number.
        converged: whether a row's ascent met its tolerance, (N,).
    """

    guide: PerDatumGuide
    converged: Bool[np.ndarray, " N"]


def row_gaussians(
    model: AbstractModel, guide: Any, rows: Datum, *, key: PRNGKeyArray, method: str = "refined"
) -> RowGaussians:
    """Fit a Gaussian to the posterior of each row.

    Arguments:
        model: p(x, z) over one vector z of free real numbers.
        guide: where the fits start, q(z | x).
        rows: batched, with an index.
        key: random key, of the fixed draws and of those that the starts are measured by.
        method: the name of what asks, for messages.

    Raises:
        InputError: latents that are no vector of free real numbers, or too many; rows without an index,
            or one index twice.
    """
    dim = check_refinable(model, guide, rows, method=method)
    draws_key, start_key = jax.random.split(key)
    buffer, num_draws = fixed_draws(draws_key, dim, fit_draws(dim))

    few = num_rows(rows) * num_draws <= _FEW_DRAWS
    fit = _fitted_few if few else _fitted_many

    def fitted(block: Datum, numbers: Any, _: Any) -> Any:
        return fit(model, guide, block, numbers, buffer, num_draws, start_key)

    features, converged = kept_members(fitted, rows)
    return RowGaussians(
        PerDatumGuide.start(TailedGaussian(dim), rows, features=features), converged
    )


def kept_members(
    found: Callable[[Datum, Any, Any], Any], rows: Datum
) -> tuple[Float[np.ndarray, "N F"], Bool[np.ndarray, " N"]]:
    """The member of every row, in blocks that are kept as they end.

    Arguments:
        found: from a block of rows, as `over_rows` hands it on, to features, (B, F), and whether the
            ascent of each converged, (B,).
        rows: batched.
    """

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        for features, converged in over_rows(found, rows, width=_BLOCK_ROWS, begin=begin):
            yield {"features": features, "converged": converged}

    columns = kept_rows(blocks, num_rows(rows))
    return columns["features"], columns["converged"]


def numbered(rows: Datum) -> Datum:
    """The rows with numbers, from 0 where they have none of their own."""
    index = np.arange(num_rows(rows)) if rows.index is None else rows.index
    return Datum(rows.x, rows.mask, rows.label, index, rows.weight)


def fit_draws(dim: int) -> int:
    """K, the fixed draws that each step of each row evaluates log p(x, z) at."""
    return 2 * dim * math.ceil(_LEAST_DRAWS / (2 * dim))


def fixed_draws(key: PRNGKeyArray, dim: int, least: int) -> tuple[Float[np.ndarray, "C W d"], int]:
    """Balanced draws of N(0, I) in chunks, the last one filled up, and how many there are.

    Arguments:
        key: random key.
        dim: d.
        least: draws, of which there are as many or less than 2 d fewer.
    """
    noise = spherical_radial(host_generator(key), least // (2 * dim), dim)
    # Their second moment is a multiple of I; as I itself it makes the fit of a Gaussian posterior exact.
    noise /= math.sqrt(np.mean(noise**2))
    chunks = math.ceil(len(noise) / _CHUNK)
    width = math.ceil(len(noise) / chunks)
    padded = np.concatenate([noise, np.repeat(noise[-1:], chunks * width - len(noise), axis=0)])
    return padded.reshape(chunks, width, dim), len(noise)


def climbed(
    log_joint: Callable[[Array, Datum], Array],
    datum: Datum,
    mean: Float[Array, " d"],
    tril: Float[Array, "d d"],
    chunks: Float[Array, "C W d"],
    num_draws: int,
    *,
    diagonal: bool,
) -> NaturalGradientResult:
    """Where the ascent of one row ends, to the tolerance and in the steps of every row's.

    Arguments:
        log_joint: log p(x, z), nats.
        datum: the row.
        mean: of the Gaussian that the ascent starts from.
        tril: of it, the factor L.
        chunks: of `fixed_draws`.
        num_draws: how many those are.
        diagonal: whether L stays diagonal.
    """
    tolerance = _TOLERANCE * jnp.finfo(mean.dtype).eps ** 0.5
    return ascend(
        log_joint, datum, mean, tril, chunks, jnp.asarray(num_draws),
        jnp.asarray(tolerance, mean.dtype), jnp.asarray(_MOST_STEPS), diagonal=diagonal,
    )  # fmt: skip


def check_refinable(
    model: AbstractModel, guide: Any, rows: Datum, *, method: str = "refined"
) -> int:
    """The number of latents.

    Arguments:
        model: p(x, z).
        guide: datum -> proposal.
        rows: a batched datum.
        method: the name of what asks, for the message.

    Raises:
        InputError: latents that are no vector of free real numbers, or too many of them.
    """
    refuse_what_cannot_move(model, guide, rows, method=method)
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    z, free = eqx.filter_eval_shape(_drawn, guide, example), _free(proposal_of(guide, rows))
    if not (free and isinstance(z, jax.ShapeDtypeStruct) and len(z.shape) == 1):
        raise InputError(
            "latents that are one vector of real numbers without a bound, as a Gaussian's are",
            "latents of another form", "importance", where=method,
        )  # fmt: skip
    if z.shape[0] > _MOST_LATENTS:
        raise InputError(
            f"at most {_MOST_LATENTS} latents, whose covariance each row has a factor of",
            f"{z.shape[0]}", "importance", where=method,
        )  # fmt: skip
    return z.shape[0]


def _free(q: AbstractProposal) -> bool:
    """Whether the draws of q are real numbers without a bound."""
    if not isinstance(q, DistributionProposal):
        return True
    support: Any = q.distribution.support
    while isinstance(support, dist.constraints.independent):
        support = support.base_constraint
    return support in (dist.constraints.real, dist.constraints.real_vector)


def _drawn(guide: Any, datum: Datum) -> Any:
    """One latent."""
    drawn = as_proposal(guide(datum)).draw(jax.random.key(0), 1)
    return jax.tree.map(lambda leaf: leaf[0], drawn.z)


def _fitted(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    chunks: Float[Array, "C W d"],
    num_draws: int,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "B F"], Bool[Array, " B"]]:
    """Features of the fitted members, and whether each ascent converged."""

    def log_joint(z: Float[Array, " d"], datum: Datum) -> Float[Array, ""]:
        return model.log_joint(datum, z)

    def one(datum: Datum, number: Any) -> tuple[Array, Array]:
        drawn = as_proposal(guide(datum)).draw(key_of_row(key, datum, number), _START_DRAWS)
        mean, scale = drawn.z.mean(axis=0), drawn.z.std(axis=0)
        end = climbed(log_joint, datum, mean, jnp.diag(scale), chunks, num_draws, diagonal=False)
        values = jax.lax.map(
            lambda noise: jax.vmap(log_joint, in_axes=(0, None))(
                end.mean + noise @ end.tril.T, datum
            ),
            chunks,
        )
        log_w = values + 0.5 * jnp.sum(chunks**2, axis=-1)
        tailed = ~(jnp.std(log_w) < _VARIES)
        wider = jnp.where(tailed, 1 + _WIDER * mean.shape[0] ** -0.5, 1.0).astype(mean.dtype)
        return TailedGaussian.features(end.mean, wider * end.tril, tailed), end.converged

    return jax.vmap(one)(block, numbers)


_fitted_few, _fitted_many = even_jit(_fitted), steady_jit(_fitted)
