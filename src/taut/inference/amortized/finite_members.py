"""The member of a factorized discrete family that is best for each row, by coordinate ascent.

    q(z) = prod_d q_d(z_d),        log q_d(c) = E_q[log p(x, z) given z_d = c] + const

sets one unit to its optimum given the others, so that the ELBO never falls (Jordan, Ghahramani, Jaakkola
and Saul 1999). Expectations are sums over all outcomes, without draws. An ascent ends in an optimum near
its start: there are three, the encoder's answer, the posterior's marginals and its mode, and the best
end is the member.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from taut.core import AbstractModel, Datum, as_proposal, num_rows, over_rows
from taut.core.compiling import even_jit
from taut.core.kept_rows import kept_rows
from taut.guides import FactorizedUnits, FeatureGuide, PerDatumGuide, every_outcome
from taut.inference.amortized.row_gaussians import RowGaussians

__all__ = ["finite_members", "is_finite"]

_BLOCK_ROWS = 4  # of 1024 outcomes each, as many latents as draws are held at once
_MOST_SWEEPS = 500
_GAIN = 1e-5  # nats that a sweep may still gain, beside rounding
_ROUNDINGS = 16  # of a sum of log-densities
_MODE = 0.99  # of a unit, at the start from the mode
_LEAST = -1e4  # nats beside the likeliest outcome, where one of no density stands


class _Ascent(NamedTuple):
    """Log-probabilities of the units, (D, C), their ELBO, what the last sweep gained, and sweeps."""

    log_q: Float[Array, "D C"]
    elbo: Float[Array, ""]
    gain: Float[Array, ""]
    sweeps: Any


def is_finite(guide: Any, rows: Datum) -> bool:
    """Whether a guide is of independent discrete units, whose outcomes can all be summed."""
    factorized = isinstance(guide, FeatureGuide) and isinstance(guide.family, FactorizedUnits)
    return factorized and every_outcome(guide, rows) is not None


def finite_members(model: AbstractModel, guide: FeatureGuide, rows: Datum) -> RowGaussians:
    """Find the best member for each row.

    Arguments:
        model: p(x, z).
        guide: q(z | x), for which `is_finite` holds.
        rows: batched, with an index.

    Raises:
        InputError: rows without an index, or one index twice.
    """

    def found(block: Datum, numbers: Any, _: Any) -> Any:
        return _found(model, guide, block)

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        for features, converged in over_rows(found, rows, width=_BLOCK_ROWS, begin=begin):
            yield {"features": features, "converged": converged}

    columns = kept_rows(blocks, num_rows(rows))
    table = PerDatumGuide.start(guide.family, rows, features=columns["features"])
    return RowGaussians(table, columns["converged"])


@even_jit
def _found(
    model: AbstractModel, guide: FeatureGuide, block: Datum
) -> tuple[Float[Array, "B F"], Bool[Array, " B"]]:
    """Features of the members, and whether each ascent converged."""

    def one(datum: Datum) -> tuple[Array, Array]:
        q: Any = as_proposal(guide.family(guide.features(datum)))
        support = q.enumerated().support
        log_p = jax.vmap(lambda z: model.log_joint(datum, z))(support)
        log_p = jnp.maximum(log_p - jnp.max(log_p), _LEAST)
        hot = jax.nn.one_hot(jax.vmap(q.to_numbers)(support), q.unit_shape[1], dtype=log_p.dtype)
        starts = jnp.stack([q.unit_log_probs, *_from_the_posterior(log_p, hot)])
        ends = jax.vmap(lambda start: _ascended(log_p, hot, start))(starts)
        best = jnp.argmax(ends.elbo)
        log_q = ends.log_q[best]
        logits = log_q[:, 1] - log_q[:, 0] if q.logits.ndim == 1 else log_q
        return logits.reshape(-1), ends.gain[best] <= _tolerance(ends.elbo[best])

    return jax.vmap(one)(block)


def _from_the_posterior(
    log_p: Float[Array, " M"], hot: Float[Array, "M D C"]
) -> tuple[Float[Array, "D C"], Float[Array, "D C"]]:
    """Log-probabilities at its marginals and around its mode."""
    least = jnp.finfo(log_p.dtype).tiny
    marginals = jnp.einsum("m,mdc->dc", jax.nn.softmax(log_p), hot)
    mode, others = hot[jnp.argmax(log_p)], hot.shape[2] - 1
    around = jnp.where(mode > 0, _MODE, (1 - _MODE) / others)
    return jnp.log(jnp.maximum(marginals, least)), jnp.log(around)


def _ascended(
    log_p: Float[Array, " M"], hot: Float[Array, "M D C"], start: Float[Array, "D C"]
) -> _Ascent:
    """Where sweeps over the units end."""

    def more(at: _Ascent) -> Array:
        return (at.gain > _tolerance(at.elbo)) & (at.sweeps < _MOST_SWEEPS)

    def sweep(at: _Ascent) -> _Ascent:
        log_q = jax.lax.fori_loop(0, hot.shape[1], lambda d, q: _moved(log_p, hot, q, d), at.log_q)
        elbo = _elbo(log_p, hot, log_q)
        return _Ascent(log_q, elbo, elbo - at.elbo, at.sweeps + 1)

    first = _elbo(log_p, hot, start)
    return jax.lax.while_loop(more, sweep, _Ascent(start, first, jnp.full_like(first, jnp.inf), 0))


def _moved(
    log_p: Float[Array, " M"], hot: Float[Array, "M D C"], log_q: Float[Array, "D C"], d: Any
) -> Float[Array, "D C"]:
    """Unit d at its optimum given the others."""
    own = hot[:, d]
    others = jnp.exp(jnp.einsum("mdc,dc->m", hot, log_q.at[d].set(0.0)))
    return log_q.at[d].set(jax.nn.log_softmax((others * log_p) @ own))


def _elbo(
    log_p: Float[Array, " M"], hot: Float[Array, "M D C"], log_q: Float[Array, "D C"]
) -> Float[Array, ""]:
    joint = jnp.einsum("mdc,dc->m", hot, log_q)
    return jnp.sum(jnp.exp(joint) * (log_p - joint))


def _tolerance(elbo: Float[Array, ""]) -> Float[Array, ""]:
    """Nats below which a gain is none."""
    return _GAIN + _ROUNDINGS * jnp.finfo(elbo.dtype).eps * jnp.abs(elbo)
