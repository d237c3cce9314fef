"""What is done with one row along its path: the start, and chains that heat up or cool down.

    forward    z_0 ~ q,             z_t ~ K_{b_t}(. | z_{t-1}),      t = 1, ..., T - 1
    backward   z_{T-1} ~ p(z | x),  z_{t-1} ~ K_{b_t}(. | z_t),      t = T - 1, ..., 1
    log w      sum_{t=0}^{T-1} (b_{t+1} - b_t) log w(z_t)            of both

Each K_b satisfies detailed balance for pi_b, so that the two laws of (z_0, ..., z_{T-1}) have the ratio
w / p(x): forward E[w] = p(x), backward E[1 / w] = 1 / p(x).

Sources: Neal, Annealed importance sampling (2001), section 2; Grosse, Ghahramani and Adams, Sandwiching
the marginal likelihood using bidirectional Monte Carlo (2015), section 3.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractModel, AbstractProposal, Datum, as_proposal, particles
from taut.evidence.coordinates import moves
from taut.evidence.draws import RowDraws, fit_of, kl_of
from taut.evidence.hmc import Point, transition
from taut.evidence.tempered import AbstractTempered
from taut.evidence.tempering import Path, Plan, path_of, piloted, scales_at

__all__ = [
    "CHUNK_CHAINS", "Kernels", "Started", "anneal", "increments", "kernels_of", "moved",
    "return_to_start", "started",
]  # fmt: skip

CHUNK_CHAINS = 1024
"""Chains that move at once, each with the gradients of its densities."""

_SPREAD = 10  # transitions that part backward chains, which have one exact draw in common


class Kernels(NamedTuple):
    """What is fixed of one row before its chains begin.

    Attributes:
        path: the tempered densities.
        plan: temperatures, step sizes and scales; None for one temperature, which moves nothing.
    """

    path: Path
    plan: Plan | None


class Started(NamedTuple):
    """Draws of the start.

    Attributes:
        points: where they are, a leading axis K.
        draws: their log-weights and the like, each (K,) or ().
    """

    points: Point
    draws: RowDraws


def kernels_of(
    model: AbstractModel, guide: Any, datum: Datum, key: PRNGKeyArray, options: AbstractTempered
) -> Kernels:
    """The path of a row and the plan that a pilot finds for it.

    Arguments:
        model: p(x, z).
        guide: q(z | x).
        datum: one row.
        key: of the pilot.
        options: those of the method.
    """
    from_prior = options.start == "prior"
    q = as_proposal(model.prior() if from_prior else guide(datum))
    path = path_of(model, q, datum)
    if options.temperatures == 1:
        return Kernels(path, None)
    plan = piloted(
        path, _beside(q, guide, datum) if from_prior else q, key,
        temperatures=options.temperatures, schedule=options.schedule, leapfrog=options.leapfrog,
        from_prior=from_prior,
    )  # fmt: skip
    return Kernels(path, plan)


def anneal(
    path: Path,
    plan: Plan,
    points: Point,
    log_w: Float[Array, " K"],
    key: PRNGKeyArray,
    *,
    leapfrog: int,
) -> tuple[Point, Float[Array, " K"], Float[Array, ""]]:
    """Chains from the start to b_{T-1}: where they are, their log-weights, and mean acceptance.

    Arguments:
        path: the tempered densities.
        plan: T at least 2.
        points: draws of the start, a leading axis K.
        log_w: their log-weights, nats, (K,).
        key: of the chains.
        leapfrog: L.
    """
    origin = jnp.where(jnp.isfinite(log_w), log_w, 0.0)

    def heat(carry: tuple[Point, Array], now: tuple[Array, ...]) -> tuple[Any, Any]:
        points, gained = carry
        number, beta, width, step = now
        own = jax.random.fold_in(key, number)
        points, accepted = moved(path, plan, points, beta, step, own, leapfrog=leapfrog)
        # Relative to the first log-weight, beside which the sum would lose digits.
        return (points, gained + width * (points.log_w - origin)), jnp.mean(accepted)

    inner = slice(1, -1)
    numbers = jnp.arange(plan.betas.shape[0])
    now = (numbers[inner], plan.betas[inner], increments(plan.betas)[1:], plan.steps[inner])
    (points, gained), accepted = jax.lax.scan(heat, (points, jnp.zeros_like(log_w)), now)
    return points, log_w + gained, jnp.mean(accepted)


def return_to_start(
    path: Path,
    plan: Plan | None,
    exact: Float[Array, " d"],
    key: PRNGKeyArray,
    *,
    count: int,
    leapfrog: int,
) -> Float[Array, " K"]:
    """Log-weights of backward chains, nats, (K,).

    Each begins at a draw of p(z | x), one and the same, which transitions at b = 1 move apart and leave
    draws of p(z | x). Their errors are those given that draw.

    Arguments:
        path: the tempered densities.
        plan: None for one temperature, where nothing moves.
        exact: u of a draw of p(z | x).
        key: of the chains.
        count: K.
        leapfrog: L.
    """
    points = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], count, axis=0), path.at(exact))
    if plan is None:
        return points.log_w
    origin = points.log_w[0]

    def cool(carry: tuple[Point, Array], now: tuple[Array, ...]) -> tuple[Any, None]:
        points, gained = carry
        number, beta, width, step = now
        gained = gained + width * (points.log_w - origin)
        own = jax.random.fold_in(key, number)
        points, _ = moved(path, plan, points, beta, step, own, leapfrog=leapfrog)
        return (points, gained), None

    last = plan.betas.shape[0] - 1
    widths = increments(plan.betas)
    # The transitions that part the chains come first, with no width of their own.
    numbers = jnp.concatenate([last + jnp.arange(_SPREAD), jnp.arange(last - 1, 0, -1)])
    at = jnp.minimum(numbers, last)
    now = (
        numbers, plan.betas[at],
        jnp.where(numbers < last, widths[jnp.minimum(at, last - 1)], 0.0), plan.steps[at],
    )  # fmt: skip
    (points, gained), _ = jax.lax.scan(cool, (points, jnp.zeros_like(points.log_w)), now)
    return origin + gained + widths[0] * (points.log_w - origin)


def moved(
    path: Path,
    plan: Plan,
    points: Point,
    beta: Float[Array, ""],
    step: Float[Array, ""],
    key: PRNGKeyArray,
    *,
    leapfrog: int,
) -> tuple[Point, Float[Array, ""]]:
    """One transition of every chain, and their mean acceptance.

    Arguments:
        path: the tempered densities.
        plan: of the scales.
        points: a leading axis K.
        beta: b.
        step: step size at b.
        key: of this temperature.
        leapfrog: L.
    """
    scale = scales_at(plan, beta)

    def move(one: tuple[Point, PRNGKeyArray]) -> tuple[Point, Array]:
        return transition(one[0], path.at, beta, step, scale, one[1], leapfrog=leapfrog)

    count = points.log_w.shape[0]
    chains = (points, jax.random.split(key, count))
    if count <= CHUNK_CHAINS:
        points, accepted = jax.vmap(move)(chains)
    else:
        points, accepted = jax.lax.map(move, chains, batch_size=CHUNK_CHAINS)
    return points, jnp.mean(accepted)


def increments(betas: Float[Array, " S"]) -> Float[Array, " T"]:
    """b_{t+1} - b_t, with which log w(z_t) counts; S = T + 1 temperatures, (T,)."""
    return jnp.diff(betas)


def started(
    model: AbstractModel, path: Path, datum: Datum, key: PRNGKeyArray, count: int
) -> Started:
    """Draws of a path's start.

    Arguments:
        model: p(x, z).
        path: of this row.
        datum: one row.
        key: of the draws.
        count: K.

    Raises:
        InputError: log-weights that are subsampled over a plate.
    """

    def start(_: Datum) -> Any:
        return path.q

    minted = particles(model, start, start, datum, key, count)
    minted.refuse_subsampled("the evidence")
    fit, kl = fit_of(minted), kl_of(model, start, datum, minted)
    points = jax.vmap(lambda z: path.at(path.coordinates.to_u(z)))(minted.z)
    return Started(points, RowDraws(minted.log_w, fit, None, kl))


def _beside(q: AbstractProposal, guide: Any, datum: Datum) -> AbstractProposal:
    """The guide where it is over the latents of q; else q, whose scales are then all that is known."""
    own = as_proposal(guide(datum))
    return own if moves(own) else q
