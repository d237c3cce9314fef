"""Annealed importance sampling.

    log w = sum_t (b_{t+1} - b_t) log w(z_t),    z_0 ~ q,    z_t ~ K_{b_t}(. | z_{t-1}),  t < T

with transitions K_b that leave pi_b ~ q w^b invariant (`hmc`), w(z) = p(x, z) / q(z). The mean of w over
independent chains is unbiased for p(x) whatever the kernels and however far they are from equilibrium;
its logarithm is a lower bound in expectation. T = 1 is importance sampling from q.

The kernels of a row are found in a pilot with draws of its own and then stay as they are (`tempering`).

Source: Neal, Annealed importance sampling, Statistics and Computing 11 (2001); for decoders, Wu, Burda,
Salakhutdinov and Grosse (ICLR 2017).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    LOG_PRIOR,
    NEG_LOG_Q,
    AbstractModel,
    AbstractPair,
    AbstractProposal,
    Datum,
    InputError,
    as_proposal,
    option,
    particles,
    total,
    weighted_sum,
)
from taut.core.compiling import steady_jit
from taut.evidence.abstract import AbstractMethod, Claims
from taut.evidence.coordinates import moves, refuse_what_cannot_move
from taut.evidence.draws import RowDraws
from taut.evidence.hmc import Point, transition
from taut.evidence.importance import Evidence, assembled, averages
from taut.evidence.sweep import Sweep, run, sweep
from taut.evidence.tempering import SCHEDULES, Path, Plan, Schedule, path_of, piloted, scales_at
from taut.guides import PriorGuide

__all__ = [
    "Annealed",
    "Kernels",
    "Start",
    "Started",
    "anneal",
    "increments",
    "kernels_of",
    "started",
]

Start = Literal["guide", "prior"]

_BLOCK_ROWS = 16
_CHUNK_CHAINS = 1024  # rows x chains held at once, each with the gradients of its densities
_COLUMNS = (
    "log_evidence", "log_evidence_error", "elbo", "elbo_error", "reconstruction",
    "reconstruction_error", "kl", "kl_error", "ess", "khat", "halves", "acceptance",
)  # fmt: skip


@dataclass(frozen=True)
class Annealed(AbstractMethod):
    """Annealed importance sampling with Hamiltonian transitions.

    Attributes:
        num_particles: independent chains per row; k-hat wants a few hundred.
        temperatures: T, steps from the start to the posterior; more of them make the bound tighter.
        leapfrog: leapfrog steps in a transition.
        schedule: where the temperatures lie: `adaptive` by what a pilot found, `linear` or `sigmoid`.
        start: where the chains begin: the `guide` or the `prior`.
    """

    name: ClassVar[str] = "annealed"
    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True, latents="continuous")

    num_particles: int = 200
    temperatures: int = 20
    leapfrog: int = 3
    schedule: Schedule = "adaptive"
    start: Start = "guide"

    def __post_init__(self):
        for name, least, why in (
            ("num_particles", 2, "chains, which an error needs"),
            ("temperatures", 1, "step from the start to the posterior"),
            ("leapfrog", 1, "leapfrog step"),
        ):
            if getattr(self, name) < least:
                raise InputError(
                    f"at least {least} {why}", f"{getattr(self, name)}",
                    f"{type(self).__dataclass_fields__[name].default}", where=option(name),
                )  # fmt: skip
        for name, known in (("schedule", SCHEDULES), ("start", get_args(Start))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"one of {', '.join(known)}", repr(getattr(self, name)), known[0],
                    where=option(name),
                )  # fmt: skip

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        return run(self.sweep(pair, rows, key=key))

    def sweep(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Sweep:
        """The same block by block, for what saves its progress."""
        model, guide = pair.bind()
        start = PriorGuide(model) if self.start == "prior" else guide
        refuse_what_cannot_move(model, start, rows, method=self.name)

        def program(block: Datum, numbers: Any) -> dict[str, Any]:
            draws, acceptance = _annealed_rows(model, guide, block, numbers, key, self)
            return {**averages(_on_host(draws)), "acceptance": acceptance}

        def finish(columns: dict[str, np.ndarray]) -> Evidence:
            return assembled(columns, rows, num_particles=self.num_particles)

        width = max(1, min(_BLOCK_ROWS, _CHUNK_CHAINS // self.num_particles))
        return sweep(program, rows, width=width, columns=_COLUMNS, finish=finish)


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
    model: AbstractModel, guide: Any, datum: Datum, key: PRNGKeyArray, options: Annealed
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
    count = log_w.shape[0]
    origin = jnp.where(jnp.isfinite(log_w), log_w, 0.0)

    def heat(carry: tuple[Point, Array], now: tuple[Array, ...]) -> tuple[Any, Any]:
        points, gained = carry
        number, beta, width, step = now
        keys = jax.random.split(jax.random.fold_in(key, number), count)
        scale = scales_at(plan, beta)

        def move(point: Point, own: PRNGKeyArray) -> tuple[Point, Array]:
            return transition(point, path.at, beta, step, scale, own, leapfrog=leapfrog)

        points, accepted = jax.vmap(move)(points, keys)
        # Relative to the first log-weight, beside which the sum would lose digits.
        return (points, gained + width * (points.log_w - origin)), jnp.mean(accepted)

    inner = slice(1, -1)
    numbers = jnp.arange(plan.betas.shape[0])
    now = (numbers[inner], plan.betas[inner], increments(plan.betas)[1:], plan.steps[inner])
    (points, gained), accepted = jax.lax.scan(heat, (points, jnp.zeros_like(log_w)), now)
    return points, log_w + gained, jnp.mean(accepted)


def increments(betas: Float[Array, " S"]) -> Float[Array, " T"]:
    """b_{t+1} - b_t, with which log w(z_t) counts; S = T + 1 temperatures, (T,)."""
    return jnp.diff(betas)


@steady_jit
def _annealed_rows(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    options: Annealed,
) -> tuple[RowDraws, Float[Array, " B"]]:
    """Log-weights of all chains of each row of a block, and their mean acceptance."""
    parts = math.ceil(options.num_particles / _CHUNK_CHAINS)
    count = math.ceil(options.num_particles / parts)

    def one(datum: Datum, number: Any) -> tuple[RowDraws, Array]:
        row_key = jax.random.fold_in(key, number)
        chain_key = jax.random.fold_in(row_key, parts)  # parts 0, 1, ... draw from their own
        path, plan = kernels_of(model, guide, datum, jax.random.fold_in(chain_key, parts), options)

        def part(index: Any) -> Any:
            drawn = started(model, path, datum, jax.random.fold_in(row_key, index), count)
            if plan is None:
                return drawn.draws.log_w, drawn.draws, jnp.ones(())
            own = jax.random.fold_in(chain_key, index)
            _, log_w, accepted = anneal(
                path, plan, drawn.points, drawn.draws.log_w, own, leapfrog=options.leapfrog
            )
            return log_w, drawn.draws, accepted

        log_w, draws, accepted = jax.lax.map(part, jnp.arange(parts))
        log_w, fit, elbo = (
            a.reshape(-1)[: options.num_particles] for a in (log_w, draws.fit, draws.log_w)
        )
        kl = None if draws.kl is None else jnp.mean(draws.kl)
        return RowDraws(log_w, fit, None, kl, elbo), jnp.mean(accepted)

    return jax.vmap(one)(block, numbers)


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
    outside = {n: t for n, t in minted.terms.items() if n not in (LOG_PRIOR, NEG_LOG_Q)}
    fit = jnp.broadcast_to(total(outside, batch_ndim=1), minted.log_mass.shape)
    kl = None
    if minted.kl is not None:
        kl = weighted_sum(minted.log_mass, jnp.sum(minted.kl, axis=1))
    points = jax.vmap(lambda z: path.at(path.coordinates.to_u(z)))(minted.z)
    return Started(points, RowDraws(minted.log_w, fit, None, kl))


def _on_host(draws: RowDraws) -> RowDraws:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), draws)


def _beside(q: AbstractProposal, guide: Any, datum: Datum) -> AbstractProposal:
    """The guide where it is over the latents of q; else q, whose scales are then all that is known."""
    own = as_proposal(guide(datum))
    return own if moves(own) else q
