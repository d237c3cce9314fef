"""A prior fitted to the aggregated posterior, encoder and decoder as they are.

    maximise  E_q_agg log p(z)  in the prior's parameters,        q_agg(z) = (1/N) sum_n q(z | x_n)

Its gain is that of the ELBO on the same rows, as no other term holds p(z) (Tomczak and Welling, VAE with
a VampPrior, 2018, section 2). A row is what the encoder says of it, so that a step has no pass of the
encoder but those for pseudo-inputs, and none of the decoder.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from taut.core import Datum, Estimate, InputError, as_proposal, num_rows, over_rows, total
from taut.core.compiling import even_jit
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.amortized.ascent_steps import moved, rescaled, taken
from taut.inference.amortized.movable import movable
from taut.inference.exact.kmeans import kmeans_plus_plus, lloyd
from taut.models import MixtureOfGaussians, VampPrior
from taut.models.likelihoods.scale import raw_of

__all__ = [
    "expected_log_prior",
    "features_of",
    "latents_of",
    "prior_ascent",
    "prior_gain",
    "started_prior",
]

_BLOCK = 512  # rows at once
_CLUSTERED = 5000  # draws that a mixture's start looks at
_STRENGTH = 2.0  # draws that the spread of all draws counts for beside those of a cluster
_LEAST = 1e-3  # of a scale, above its floor


class PriorState(NamedTuple):
    """State of the ascent.

    Attributes:
        prior: floating-point arrays of the prior; None elsewhere.
        optimizer: its optimizer's state.
        scale: what updates are multiplied by.
        key: random key of the run.
        step: steps taken.
    """

    prior: Any
    optimizer: Any
    scale: Float[Array, ""]
    key: PRNGKeyArray
    step: Int[Array, ""]


def prior_ascent(
    pair: Any, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
) -> Algorithm:
    """Maximise the mean of log p(z) over draws of posteriors.

    Arguments:
        pair: a model with a prior, and an amortized guide; only the prior moves.
        optimizer: any Optax transformation that minimises.
        key: random key.

    Returns:
        an `Algorithm` whose rows are features (`features_of`) and whose metric `bound` is the mean
        log p(z) of the batch, nats.
    """
    arrays, static = eqx.partition(pair.model.prior_family, eqx.is_inexact_array)

    def with_prior(prior: Any) -> Any:
        return eqx.tree_at(lambda p: p.model.prior_family, pair, eqx.combine(prior, static))

    def init() -> PriorState:
        zero = jnp.zeros((), jnp.int32)
        return PriorState(arrays, optimizer.init(arrays), jnp.ones(()), key, zero)

    def step(state: PriorState, batch: Datum) -> tuple[PriorState, Metrics]:
        keys = jax.random.split(jax.random.fold_in(state.key, state.step), num_rows(batch))

        def loss(prior: Any) -> Float[Array, ""]:
            return -jnp.mean(_log_priors(with_prior(prior), batch.x, keys))

        value, gradient = jax.value_and_grad(loss)(state.prior)
        free = movable(loss, state.prior)

        def accepted() -> PriorState:
            prior, moments = moved(
                optimizer, gradient, state.optimizer, state.prior, state.prior,
                scale=state.scale, step=state.step, free=free,
            )  # fmt: skip
            return state._replace(prior=prior, optimizer=moments)

        state, shown = taken(state, -value, gradient, accepted)
        return state._replace(step=state.step + 1), {"bound": shown}

    return Algorithm(init, step, lambda state: with_prior(state.prior), rescale=rescaled)


def features_of(guide: Any, rows: Datum) -> Datum:
    """What the encoder says of each row, as rows of their own."""
    blocks = over_rows(lambda block, *_: _features(guide, block), rows, width=_BLOCK)
    return Datum(np.concatenate(list(blocks)), index=rows.index)


def latents_of(guide: Any, features: Datum, *, key: PRNGKeyArray) -> Float[np.ndarray, "N d"]:
    """One draw z ~ q(z | x) of each row."""

    def drawn(block: Datum, numbers: Any, _: Any) -> Float[Array, "B d"]:
        return _latents(guide.family, block.x, numbers, key)

    return np.concatenate(list(over_rows(drawn, features, width=_BLOCK)))


def expected_log_prior(pair: Any, features: Datum, *, key: PRNGKeyArray) -> Estimate:
    """E_q log p(z) over the rows, from one draw each; nats per row."""

    def at_draws(block: Datum, numbers: Any, _: Any) -> Float[Array, " B"]:
        return _at_draws(pair, block.x, numbers, key)

    values = np.concatenate(list(over_rows(at_draws, features, width=_BLOCK)))
    return Estimate.from_rows(
        np.asarray(values, np.float64), side="unbiased", mc_errors=np.nan, index=features.index
    )


def prior_gain(
    new: Any, old: Any, features: Datum, *, key: PRNGKeyArray, num_draws: int
) -> Estimate:
    """E_q [log p'(z) - log p(z)]: what the ELBO of the rows gains, from the same draws; nats per row.

    Arguments:
        new, old: pairs that differ in their priors alone.
        features: of the rows.
        key: random key.
        num_draws: of each row, at least two.
    """
    draws = []
    for draw_key in jax.random.split(key, num_draws):
        ahead, behind = (expected_log_prior(p, features, key=draw_key).values for p in (new, old))
        draws.append(np.asarray(ahead) - np.asarray(behind))
    gained = np.stack(draws, axis=1)
    errors = gained.std(axis=1, ddof=1) / np.sqrt(num_draws)
    return Estimate.from_rows(
        gained.mean(axis=1), side="unbiased", mc_errors=errors, index=features.index
    )


def started_prior(prior: Any, rows: Datum, z: Float[np.ndarray, "N d"], *, seed: int) -> Any:
    """A prior before its first step: a mixture at clusters of z, pseudo-inputs at rows.

    Arguments:
        prior: as made.
        rows: training rows.
        z: a draw of each of their posteriors.
        seed: of the clusters.

    Raises:
        InputError: more components or pseudo-inputs than rows.
    """
    if isinstance(prior, VampPrior):
        return prior.started_at(rows)
    if not isinstance(prior, MixtureOfGaussians):
        return prior
    num, generator = prior.means.shape[0], np.random.default_rng(seed)
    if num > min(len(z), _CLUSTERED):
        raise InputError(
            f"at most {min(len(z), _CLUSTERED)} components for {len(z)} training rows", f"{num}",
            f"mixture:{max(1, min(len(z), _CLUSTERED) // 10)}", where="prior",
        )  # fmt: skip
    z = generator.permutation(np.asarray(z, np.float64))[:_CLUSTERED]
    seeds = z[kmeans_plus_plus(z, num, generator)]
    member = np.eye(num)[lloyd(z, seeds).owner]
    count = member.sum(axis=0)[:, None]
    means = np.where(count > 0, member.T @ z / np.maximum(count, 1), seeds)
    within = member.T @ z**2 - count * means**2
    variance = (np.maximum(within, 0) + _STRENGTH * z.var(axis=0)) / (count + _STRENGTH)
    scales = np.maximum(np.sqrt(variance) - prior.floor, _LEAST)
    logits = np.log((count[:, 0] + 1) / (len(z) + num))
    dtype = prior.means.dtype
    return eqx.tree_at(
        lambda p: (p.logits, p.means, p.raw_scales), prior,
        tuple(jnp.asarray(a, dtype) for a in (logits, means, raw_of(jnp.asarray(scales)))),
    )  # fmt: skip


def _log_priors(
    pair: Any, features: Float[Array, "B F"], keys: Key[Array, " B"]
) -> Float[Array, " B"]:
    model, guide = pair.bind()
    prior = as_proposal(model.prior())

    def one(row: Float[Array, " F"], key: PRNGKeyArray) -> Float[Array, ""]:
        z = as_proposal(guide.family(row)).draw(key, 1).z[0]
        return -total(prior.terms(z))

    return jax.vmap(one)(features, keys)


@even_jit
def _features(guide: Any, block: Datum) -> Float[Array, "B F"]:
    return jax.vmap(guide.features)(block)


@even_jit
def _latents(
    family: Any, features: Float[Array, "B F"], numbers: Int[Array, " B"], key: PRNGKeyArray
) -> Float[Array, "B d"]:
    def one(row: Float[Array, " F"], number: Int[Array, ""]) -> Float[Array, " d"]:
        return as_proposal(family(row)).draw(jax.random.fold_in(key, number), 1).z[0]

    return jax.vmap(one)(features, numbers)


@even_jit
def _at_draws(
    pair: Any, features: Float[Array, "B F"], numbers: Int[Array, " B"], key: PRNGKeyArray
) -> Float[Array, " B"]:
    return _log_priors(pair, features, jax.vmap(lambda n: jax.random.fold_in(key, n))(numbers))
