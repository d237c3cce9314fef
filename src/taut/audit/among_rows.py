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
    marginals: Any  # in units of the own ones


class _Draws(NamedTuple):
    """Draws of R rows on the device.

    Attributes:
        z: (R, S, ...).
        log_q: under the row's own posterior, nats.
        unit: the same in each dimension; None where it is not known, or not asked for.
        mass: exp(log_mass).
        rows: numbers of the rows, -1 where none of them is a component.
    """

    z: Any
    log_q: Float[Array, "R S"]
    unit: Float[Array, "R S d"] | None
    mass: Float[Array, "R S"]
    rows: Int[Array, " R"]


def among_rows(
    guide: Any,
    drawn: DrawnLatents,
    components: Datum,
    *,
    own: bool,
    marginals_at: Datum | None = None,
) -> AmongRows:
    """Pass all components by the draws.

    Arguments:
        guide: q(z | x).
        drawn: draws of R rows.
        components: a batched datum of C rows.
        own: whether the rows are in one numbering with the components, so that a component with the
            number of a row is that row and left out.
        marginals_at: the rows of the draws, among the components, where densities in each dimension are
            to be summed too, if they are known; None where they are not to be.
    """
    names = numbers_of(components)
    rows = np.asarray(drawn.numbers if own else np.full(len(drawn.numbers), -1))
    shape = drawn.log_q.shape
    dim = sum(int(np.prod(leaf.shape[2:])) for leaf in jax.tree.leaves(drawn.z))
    width = int(np.clip(_MOST_AT_ONCE // (shape[0] * shape[1] * dim), 1, _WIDEST))
    width = min(width, num_rows(components))
    dtype = jnp.result_type(float)
    low = jnp.full(shape, -jnp.inf, dtype)
    none = jnp.zeros(shape[0], int)
    z, unit = jax.tree.map(jnp.asarray, drawn.z), None
    if marginals_at is not None and _has_marginals(guide, components):
        unit = _own_marginals(guide, marginals_at, z)
    mass = jnp.asarray(np.exp(drawn.log_mass), dtype)
    draws = _Draws(z, jnp.asarray(drawn.log_q, dtype), unit, mass, jnp.asarray(rows))
    state = _Running(
        low, none, jnp.zeros(shape, int), none, jnp.full(shape[0], -jnp.inf, dtype),
        None if unit is None else jnp.zeros_like(unit),
    )  # fmt: skip
    for first in range(0, num_rows(components), width):
        block, numbers = padded_block(components, first, width=width)
        used = first + np.arange(width) < num_rows(components)
        named = names[numbers]
        state = _passed(guide, block, named, used, draws, state)
    if unit is not None:
        state = state._replace(marginals=jnp.log(state.marginals) + unit)
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
def _own_marginals(guide: Any, rows: Datum, z: Float[Array, "R S d"]) -> Float[Array, "R S d"]:
    """The log-densities of draws in each dimension under their own rows' posteriors.

    Sums of densities are kept in units of these: the own one is a term, so that sums are at least one
    and no largest term need be looked for.
    """

    def of_row(datum: Datum, own: Float[Array, "S d"]) -> Float[Array, "S d"]:
        known = gaussian_marginals(as_proposal(guide(datum)))
        assert known is not None
        return dist.Normal(*known).log_prob(own)

    return jax.vmap(of_row)(rows, z)


@even_jit
def _passed(
    guide: Any,
    block: Datum,
    names: Int[Array, " B"],
    used: Bool[Array, " B"],
    draws: _Draws,
    state: _Running,
) -> _Running:
    """The running results after one more block."""
    z, log_q, unit, mass, rows = draws
    # A row is no component of its own, and the padding is nobody's.
    other = used[:, None] & (names[:, None] != rows[None, :])

    def densities(datum: Datum) -> tuple[Array, Any]:
        q = as_proposal(guide(datum))
        joint = jax.vmap(jax.vmap(lambda at: -total(q.terms(at))))(z)
        return joint, None if unit is None else gaussian_marginals(q)

    joint, gaussians = jax.vmap(densities)(block)
    masked = jnp.where(other[:, :, None], joint, -jnp.inf)
    added = jnp.logaddexp(state.log_sum, jax.nn.logsumexp(masked, axis=0))
    # A draw without mass is none, whatever its density.
    mean = jnp.sum(jnp.where(mass > 0, mass * masked, 0.0), axis=2)
    best = jnp.argmax(mean, axis=0)
    value = jnp.take_along_axis(mean, best[None], axis=0)[0]
    closer = value > state.closest_log_q
    marginals = state.marginals
    if unit is not None:
        weights = used.astype(unit.dtype)
        marginals = _with_marginals(marginals, (*gaussians, weights), z, unit)
    return _Running(
        added,
        state.num_others + jnp.sum(other, axis=0),
        state.above + jnp.sum(masked > log_q + _rounding(log_q), axis=0),
        jnp.where(closer, names[best], state.closest),
        jnp.where(closer, value, state.closest_log_q),
        marginals,
    )


def _with_marginals(
    sums: Float[Array, "R S d"],
    block: tuple[Float[Array, "B d"], Float[Array, "B d"], Float[Array, " B"]],
    z: Float[Array, "R S d"],
    unit: Float[Array, "R S d"],
) -> Float[Array, "R S d"]:
    """With the densities in each dimension of a block: means, scales and weights.

    One component after the other: the sum of all at once takes five times as long.
    """

    def step(sums: Array, component: Any) -> tuple[Array, None]:
        mean, scale, weight = component
        return sums + weight * jnp.exp(dist.Normal(mean, scale).log_prob(z) - unit), None

    return jax.lax.scan(step, sums, block, unroll=min(4, len(block[0])))[0]


def _rounding(log_q: Float[Array, "R S"]) -> Float[Array, "R S"]:
    """What two programs may differ by in one log-density: half of its digits, as the networks before
    it and (z - mu) / sigma lose some."""
    return jnp.sqrt(jnp.finfo(log_q.dtype).eps) * (1 + jnp.abs(log_q))
