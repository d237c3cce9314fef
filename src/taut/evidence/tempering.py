"""The path from a start to the posterior, and what a pilot finds out about it for one row.

    log pi_b(u) = log q(u) + b log w(u),    0 = b_0 < b_1 < ... < b_T = 1,    w = p(x, z) / q(z)

    linear     b_t = t / T
    sigmoid    b_t ~ sigmoid(4 (2 t / T - 1)), moved to begin at 0 and to end at 1
    adaptive   equal steps of the path's length, integral of sd_b(log w) db: where log w varies much,
               temperatures lie close

The pilot moves a few chains of its own along a fixed grid of b. It leaves behind, as functions of b, the
step size at which transitions are accepted at the wished rate, and sd_b(log w). What comes after uses
draws of other keys and changes none of it: given the plan, every kernel is fixed, and the estimates that
follow are as unbiased as with a plan from a book.

Scales go with b as those of the path between two Gaussians: 1 / s_b^2 = (1 - b) / s_0^2 + b / s_1^2,
s_0 of the start and s_1 of the guide.

Sources: Neal, Annealed importance sampling (2001); Wu, Burda, Salakhutdinov and Grosse, On the
quantitative analysis of decoder-based generative models (ICLR 2017), for the sigmoid schedule; Gelman
and Meng, Simulating normalizing constants (1998), section 4, for the path's length.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractModel, AbstractProposal, Datum, as_proposal, particles_at
from taut.evidence.coordinates import Coordinates, coordinates
from taut.evidence.hmc import LONGEST, Point, transition

__all__ = ["SCHEDULES", "Path", "Plan", "Schedule", "path_of", "piloted", "scales_at"]

Schedule = Literal["adaptive", "linear", "sigmoid"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)

_WISHED = 0.8  # acceptance; 0.65 is the best in many dimensions, and above it little is lost
_GAIN = 1.5  # of the logarithm of the step, per unit of acceptance
_PILOT_CHAINS = 16
_PILOT_GRID = 32
_SCALE_DRAWS = 64  # for standard deviations of the start: off by a tenth, which is as valid


class Path(NamedTuple):
    """The tempered densities of one row.

    Attributes:
        q: the start.
        coordinates: its free ones.
        at: the point at any u.
    """

    q: AbstractProposal
    coordinates: Coordinates
    at: Callable[[Float[Array, " d"]], Point]


class Plan(NamedTuple):
    """What stays fixed while the estimates are made.

    Attributes:
        betas: b_0, ..., b_T, S = T + 1 of them, (S,).
        steps: step size at each, in units of the scales, (S,).
        scales: s_0 and s_1, (2, d).
    """

    betas: Float[Array, " S"]
    steps: Float[Array, " S"]
    scales: Float[Array, "2 d"]


def path_of(model: AbstractModel, q: AbstractProposal, datum: Datum) -> Path:
    """The path from q to p(z | x).

    Arguments:
        model: p(x, z).
        q: the start, at this datum.
        datum: one row.
    """
    free = coordinates(q)

    def log_w(u: Float[Array, " d"]) -> Float[Array, ""]:
        z = jax.tree.map(lambda leaf: leaf[None], free.to_z(u))
        return particles_at(model, lambda _: q, datum, z).log_w[0]

    def log_q(u: Float[Array, " d"]) -> Float[Array, ""]:
        terms = q.terms(free.to_z(u))
        return free.log_volume(u) - sum(jnp.sum(term) for term in terms.values())

    def at(u: Float[Array, " d"]) -> Point:
        q_value, q_slope = jax.value_and_grad(log_q)(u)
        w_value, w_slope = jax.value_and_grad(log_w)(u)
        return Point(u, q_value, w_value, q_slope, w_slope)

    return Path(q, free, at)


def scales_at(plan: Plan, beta: Float[Array, ""]) -> Float[Array, " d"]:
    """s_b."""
    return jax.lax.rsqrt((1 - beta) / plan.scales[0] ** 2 + beta / plan.scales[1] ** 2)


def piloted(
    path: Path,
    guide_q: Any,
    key: PRNGKeyArray,
    *,
    temperatures: int,
    schedule: Schedule,
    leapfrog: int,
    from_prior: bool,
) -> Plan:
    """The plan of one row.

    Arguments:
        path: the tempered densities.
        guide_q: the guide at this row, whose scales are s_1; over the same latents as the start.
        key: of the pilot's draws.
        temperatures: T.
        schedule: where the b_t lie.
        leapfrog: L.
        from_prior: whether the start is so wide that the path is longest at its beginning.
    """
    start_key, guide_key, walk_key = jax.random.split(key, 3)
    to_u = jax.vmap(path.coordinates.to_u)
    started = to_u(path.q.draw(start_key, _SCALE_DRAWS).z)
    ended = to_u(as_proposal(guide_q).draw(guide_key, _SCALE_DRAWS).z) if from_prior else started
    scales = _positive(jnp.stack([jnp.std(started, axis=0), jnp.std(ended, axis=0)]))
    # From the prior most of the path lies within the first thousandth of b (Friel and Pettitt 2008).
    grid = jnp.linspace(0.0, 1.0, _PILOT_GRID + 1, dtype=started.dtype) ** (5 if from_prior else 1)
    plan = Plan(grid, jnp.zeros_like(grid), scales)
    points = jax.vmap(path.at)(started[:_PILOT_CHAINS])
    log_longest = jnp.log(jnp.asarray(LONGEST / leapfrog, started.dtype))

    def walk(carry: tuple[Point, Array], numbered: tuple[Array, Array]) -> tuple[Any, Any]:
        points, log_step = carry
        number, beta = numbered
        keys = jax.random.split(jax.random.fold_in(walk_key, number), _PILOT_CHAINS)
        scale = scales_at(plan, beta)

        def move(point: Point, own: PRNGKeyArray) -> tuple[Point, Array]:
            step = jnp.exp(log_step)
            return transition(point, path.at, beta, step, scale, own, leapfrog=leapfrog)

        points, accepted = jax.vmap(move)(points, keys)
        missed = jnp.mean(accepted) - _WISHED
        log_step = jnp.minimum(log_step + _GAIN * missed, log_longest)
        return (points, log_step), (log_step, _spread(points.log_w))

    numbered = (jnp.arange(1, _PILOT_GRID + 1), grid[1:])
    _, (log_steps, spreads) = jax.lax.scan(walk, (points, log_longest), numbered)
    spreads = jnp.concatenate([_spread(points.log_w)[None], spreads])
    log_steps = jnp.concatenate([log_longest[None], log_steps])
    betas = _betas(schedule, temperatures, grid, spreads)
    return Plan(betas, jnp.exp(jnp.interp(betas, grid, log_steps)), scales)


def _betas(
    schedule: Schedule, temperatures: int, grid: Float[Array, " G"], spreads: Float[Array, " G"]
) -> Float[Array, " S"]:
    even = jnp.linspace(0.0, 1.0, temperatures + 1, dtype=grid.dtype)
    if schedule == "linear":
        return even
    if schedule == "sigmoid":
        raw = jax.nn.sigmoid(4 * (2 * even - 1))
        return (raw - raw[0]) / (raw[-1] - raw[0])
    lengths = jnp.diff(grid) * (spreads[1:] + spreads[:-1]) / 2
    done = jnp.concatenate([jnp.zeros(1, grid.dtype), jnp.cumsum(lengths)])
    # Where log w is constant, or nearly so, no part of the path is longer than another.
    done = done + (1e-3 * done[-1] + 1e-12) * grid
    return jnp.interp(even * done[-1], done, grid).at[jnp.array([0, -1])].set(jnp.array([0.0, 1.0]))


def _spread(log_w: Float[Array, " K"]) -> Float[Array, ""]:
    """Standard deviation of those that are finite; 0 where fewer than two are."""
    finite = jnp.isfinite(log_w)
    count = jnp.maximum(jnp.sum(finite), 1)
    mean = jnp.sum(jnp.where(finite, log_w, 0.0)) / count
    return jnp.sqrt(jnp.sum(jnp.where(finite, (log_w - mean) ** 2, 0.0)) / count)


def _positive(scales: Float[Array, "2 d"]) -> Float[Array, "2 d"]:
    """1 where a scale is none: zero, or not finite."""
    return jnp.where(jnp.isfinite(scales) & (scales > 0), scales, 1.0)
