"""Draws of some rows under the posteriors of others: the components of the aggregated posterior.

    log sum_m q(z | x_m),    the number of m with q(z | x_m) > q(z | x_n),    max_m E_q(n) log q(z | x_m)

over components m other than n, for every draw z ~ q(z | x_n). Components pass by in blocks, each encoded
once, and only running results stay: memory grows with the draws alone.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Int

from taut.audit.drawn_latents import DrawnLatents, numbers_of
from taut.core import (
    AbstractProposal,
    Datum,
    DistributionProposal,
    as_proposal,
    num_rows,
    padded_block,
    total,
)
from taut.core.compiling import even_jit

__all__ = ["AmongRows", "among_rows", "gaussian_marginals"]

_MOST_AT_ONCE = 2**22  # densities of latent dimensions, 16 MiB
_WIDEST = 256  # components in a block


class AmongRows(NamedTuple):
    """What C components say of the draws of R rows.

    Attributes:
        log_sum: log of the sum of q(z | x_m) over components other than the draw's own row, (R, S).
        num_others: how many components those are, (R,).
        above: how many of them have a density larger than the own one by more than rounding, which
            is all that parts rows that are alike, (R, S).
        closest: the component whose divergence KL(q(n) to q(m)) is least, by its number, (R,).
        closest_log_q: its mean log-density at the row's draws, nats, (R,).
        log_sum_marginals: log of the sum over all components, the own one too, of the density in each
            dimension, (R, S, d); None where the marginals of q(z | x) are not known.
    """

    log_sum: np.ndarray
    num_others: np.ndarray
    above: np.ndarray
    closest: np.ndarray
    closest_log_q: np.ndarray
    log_sum_marginals: np.ndarray | None


class _Running(NamedTuple):
    log_sum: Float[Array, "R S"]
    num_others: Int[Array, " R"]
    above: Int[Array, "R S"]
    closest: Int[Array, " R"]
    closest_log_q: Float[Array, " R"]
    marginals: Any


def among_rows(
    guide: Any, drawn: DrawnLatents, components: Datum, *, own: bool, marginals: bool = False
) -> AmongRows:
    """Pass all components by the draws.

    Arguments:
        guide: q(z | x).
        drawn: draws of R rows.
        components: a batched datum of C rows.
        own: whether the rows are in one numbering with the components, so that a component with the
            number of a row is that row and left out.
        marginals: whether densities in each dimension are summed too, where they are known.
    """
    names = numbers_of(components)
    rows = np.asarray(drawn.numbers if own else np.full(len(drawn.numbers), -1))
    shape = drawn.log_q.shape
    dim = sum(int(np.prod(leaf.shape[2:])) for leaf in jax.tree.leaves(drawn.z))
    width = int(np.clip(_MOST_AT_ONCE // (shape[0] * shape[1] * dim), 1, _WIDEST))
    width = min(width, num_rows(components))
    known = marginals and _has_marginals(guide, components)
    dtype = jnp.result_type(float)
    low = jnp.full(shape, -jnp.inf, dtype)
    none = jnp.zeros(shape[0], int)
    state = _Running(
        low, none, jnp.zeros(shape, int), none, jnp.full(shape[0], -jnp.inf, dtype),
        jnp.full((*shape, dim), -jnp.inf, dtype) if known else None,
    )  # fmt: skip
    given = (jax.tree.map(jnp.asarray, drawn.z), jnp.asarray(drawn.log_q, dtype))
    mass = jnp.asarray(np.exp(drawn.log_mass), dtype)
    for first in range(0, num_rows(components), width):
        block, numbers = padded_block(components, first, width=width)
        used = first + np.arange(width) < num_rows(components)
        named = names[numbers]
        state = _passed(guide, block, named, used, *given, mass, rows, state)
    return AmongRows(*jax.tree.map(np.asarray, state))


def gaussian_marginals(q: AbstractProposal) -> tuple[Array, Array] | None:
    """Means and scales of q in each dimension, each (d,), where it is a Gaussian; else None."""
    if not isinstance(q, DistributionProposal):
        return None
    q_z = q.distribution
    if isinstance(q_z, dist.MultivariateNormal | dist.LowRankMultivariateNormal):
        return jnp.asarray(q_z.mean), jnp.sqrt(jnp.asarray(q_z.variance))
    inside = q_z.base_dist if isinstance(q_z, dist.Independent) else q_z
    if isinstance(inside, dist.Normal) and len(q_z.event_shape) == 1:
        return jnp.asarray(inside.loc), jnp.asarray(inside.scale)
    return None


def _has_marginals(guide: Any, rows: Datum) -> bool:
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    found = eqx.filter_eval_shape(
        lambda g, d: gaussian_marginals(as_proposal(g(d))), guide, example
    )
    return found is not None


@even_jit
def _passed(
    guide: Any,
    block: Datum,
    names: Int[Array, " B"],
    used: Bool[Array, " B"],
    z: Any,
    log_q: Float[Array, "R S"],
    mass: Float[Array, "R S"],
    rows: Int[Array, " R"],
    state: _Running,
) -> _Running:
    """The running results after one more block."""
    # A row is no component of its own, and the padding is nobody's.
    other = used[:, None] & (names[:, None] != rows[None, :])

    def densities(datum: Datum) -> tuple[Array, Any]:
        q = as_proposal(guide(datum))
        joint = jax.vmap(jax.vmap(lambda at: -total(q.terms(at))))(z)
        if state.marginals is None:
            return joint, None
        known = gaussian_marginals(q)
        assert known is not None
        return joint, dist.Normal(*known).log_prob(z)

    joint, each = jax.vmap(densities)(block)
    masked = jnp.where(other[:, :, None], joint, -jnp.inf)
    added = jnp.logaddexp(state.log_sum, jax.nn.logsumexp(masked, axis=0))
    # A draw without mass is none, whatever its density.
    mean = jnp.sum(jnp.where(mass > 0, mass * masked, 0.0), axis=2)
    best = jnp.argmax(mean, axis=0)
    value = jnp.take_along_axis(mean, best[None], axis=0)[0]
    closer = value > state.closest_log_q
    marginals = state.marginals
    if each is not None:
        seen = jnp.where(used[:, None, None, None], each, -jnp.inf)
        marginals = jnp.logaddexp(marginals, jax.nn.logsumexp(seen, axis=0))
    return _Running(
        added,
        state.num_others + jnp.sum(other, axis=0),
        state.above + jnp.sum(masked > log_q + _rounding(log_q), axis=0),
        jnp.where(closer, names[best], state.closest),
        jnp.where(closer, value, state.closest_log_q),
        marginals,
    )


def _rounding(log_q: Float[Array, "R S"]) -> Float[Array, "R S"]:
    """What two programs may differ by in one log-density: half of its digits, as the networks before
    it and (z - mu) / sigma lose some."""
    return jnp.sqrt(jnp.finfo(log_q.dtype).eps) * (1 + jnp.abs(log_q))
