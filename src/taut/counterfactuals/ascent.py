"""The ascent of one row, as (place, advance): every advance tries one step.

    z' = z + lambda d,      d the direction that the geometry makes of J^T grad(s - penalties)

placed      at the row's code, where nothing is known yet
rising      taken where s - penalties is above a mean of what it was at the last points by a share of
            what the gradient promises (Zhang and Hager 2004), and the next lambda is |dz|^2 / |dz . dd|
            of the step (Barzilai and Borwein 1988); else lambda is halved. Where three halvings do not
            help, as on the ridges of networks with kinks, a step of a set length is taken
            nevertheless, each of these shorter than the one before. Where log p would fall below the
            floor, shorter steps are tried, and then the part of d against its gradient is left out;
            where nothing is left to gain within the floor, the way leads on without it
climbing    once s has reached its level and log p is below the floor: the same with log p in place of
            s. Where s would fall below its level, so is the part of d against its gradient left out;
            where nothing is left to gain, s is asked for a nat more, and rises again
returning   between the last point and the first that satisfies both: bisection back to the level
done        at an answer, where no step helps, or where the tries are spent

Penalties are proximity * sum u^2 + sparsity * sum |u|, u = (x - x_0) / scale. Advancing a row that is
done changes nothing. `drift` is the largest 1 - cos between d and the gradient: 0 for plain ascent.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.constraints import Box
from taut.counterfactuals.generator import AbstractGenerator
from taut.counterfactuals.geometry import AbstractGeometry
from taut.counterfactuals.row_state import (
    CLIMBING,
    DONE,
    PLACED,
    RETURNING,
    RISING,
    Point,
    RowState,
)
from taut.counterfactuals.targets import AbstractTarget

__all__ = ["Ascent"]

_ARMIJO = 1e-4
_FADING = 0.85  # of earlier points in the mean that a step is compared with
_TINY = 1e-30
_MISSES, _MOST_FORCED = 3, 40
_COUNTS, _PATIENCE = 0.1, 60  # a rise by this share of the tolerance counts, and is waited for
# Lengths of steps in latent space, whose prior has a standard deviation of 1.
_FIRST, _LONGEST, _SHORTEST = 0.1, 1.0, 1e-5
_BISECTIONS = 12
_ABOVE = 1e-4  # the level, as rounding may take off an answer when it is judged again
_FURTHER = 1.0  # nats that s is raised by where log p cannot be
_INWARD = 0.1  # of a step along the floor, which bends away


class _Try(NamedTuple):
    """What a try is worth.

    Attributes:
        raised: what the row's phase raises, at the point that was tried: s - penalties, or log p.
        promised: the least rise of it that counts as one.
        finite: whether all is finite there.
        keeps: whether log p, or s, stays above what it may not fall below.
        satisfied: whether the point is an answer.
        forced: whether the step is taken even where nothing rises.
        taken: whether the row goes there.
    """

    raised: Float[Array, ""]
    promised: Float[Array, ""]
    finite: Bool[Array, ""]
    keeps: Bool[Array, ""]
    satisfied: Bool[Array, ""]
    forced: Bool[Array, ""]
    taken: Bool[Array, ""]


class Ascent(eqx.Module):
    """What all rows share.

    Attributes:
        generator, classifier, target, geometry: see their modules.
        scale: of differences of x, which broadcasts against a row.
        proximity, sparsity: weights of the penalties.
        floor: least log-density of an answer, nats; None for none.
        box: constraints that every point is clipped to; None for none.
        first: length of the first step.
        most_tries: after which a row is done.
        margin: that s is to be above the target's level by.
    """

    generator: AbstractGenerator
    classifier: AbstractClassifier
    target: AbstractTarget
    geometry: AbstractGeometry = eqx.field(static=True)
    scale: Any = 1.0
    proximity: float = 0.0
    sparsity: float = 0.0
    floor: Any = None
    box: Box | None = None
    first: float = _FIRST
    most_tries: int = 500
    margin: Any = 0.0

    def place(self, x0: Array, z: Float[Array, " d"], key: PRNGKeyArray) -> RowState:
        """A row at its code."""
        known = jax.eval_shape(self.point, z, x0, key)
        at = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), known)._replace(z=z)
        zero, count = jnp.zeros((), z.dtype), jnp.zeros((), jnp.int32)
        return RowState(
            x0, at, z, jnp.zeros_like(z), self.geometry.memory(z), zero, zero, zero,
            self._level(z.dtype), zero, count + PLACED, jnp.zeros((), bool), count, count, zero, count,
            count, count, zero, key,
        )  # fmt: skip

    def begin(self, x0: Array, z: Float[Array, " d"], key: PRNGKeyArray) -> RowState:
        """A row at its code, and the direction of its first step."""
        return self.advance(self.place(x0, z, key))

    def advance(self, state: RowState) -> RowState:
        """The same after one try."""
        placed, returning = state.phase == PLACED, state.phase == RETURNING
        ahead = state.at.z + state.step * state.direction
        z = jnp.where(returning, 0.5 * (state.low + state.at.z), ahead)
        tries = jnp.where(placed, 0, state.tries + 1)
        found = self.point(z, state.x0, jax.random.fold_in(state.key, tries))
        moved, turns, afresh = self._move(state, found)
        new = _where(placed, self._start(state, found), moved)
        directed = self._directed(new, state, afresh=afresh | placed)
        new = _where(placed | turns, directed, new)
        new = _where(returning, self._return(state, found), new)._replace(tries=tries)
        spent = (tries >= self.most_tries) & (new.phase != DONE)
        new = new._replace(phase=jnp.where(spent, DONE, new.phase))
        return _where(state.phase == DONE, state, new)

    def point(self, z: Float[Array, " d"], x0: Array, key: PRNGKeyArray) -> Point:
        """Everything at one z."""
        (x, log_density), pull = jax.vjp(lambda z: self.decoded(z, x0), z)
        score, raised, by_x, by_z = self.classifier.score_and_slopes(
            self.target.score, lambda z: self.decoded(z, x0)[0], z, x, key
        )
        if self.proximity or self.sparsity:
            lost, lost_by_x = jax.value_and_grad(self._penalty)(x, x0)
            raised, by_x = raised - lost, by_x - lost_by_x
        if self.floor is None:
            slope, density_slope = pull((by_x, jnp.zeros_like(log_density)))[0], jnp.zeros_like(z)
        else:
            of_x = jnp.stack([by_x, jnp.zeros_like(by_x)])
            of_density = jnp.array([0, 1], log_density.dtype)
            slope, density_slope = jax.vmap(lambda *g: pull(g)[0])(of_x, of_density)
        return Point(z, x, score, raised, log_density, slope + by_z, density_slope)

    def decoded(self, z: Float[Array, " d"], x0: Array) -> tuple[Array, Float[Array, ""]]:
        """A row and its log-density, within the box where there is one."""
        x, log_density = self.generator.like(x0).decode_with_density(z)
        if self.box is None:
            return x, log_density
        x = self.box.clip(x, x0)
        if self.generator.density_of == "row":
            code = self.generator.encode(x)
            log_density = self.generator.decode_with_density(code)[1]
        return x, log_density

    def satisfied(self, at: Point) -> Bool[Array, ""]:
        """Whether a point has all that is asked of an answer."""
        reached = at.score >= self._level(at.z.dtype)
        return reached if self.floor is None else reached & (at.log_density >= self.floor)

    def distance(self, x: Array, x0: Array) -> Float[Array, ""]:
        """The squared distance of a point from a row, in units of the scale."""
        return jnp.sum(((x - x0) / self.scale) ** 2)

    def _level(self, dtype: Any) -> Float[Array, ""]:
        level = self.target.level + _ABOVE * self.target.tolerance
        return jnp.asarray(level + self.margin, dtype)

    def _penalty(self, x: Array, x0: Array) -> Float[Array, ""]:
        u = (x - x0) / self.scale
        return self.proximity * jnp.sum(u**2) + self.sparsity * jnp.sum(jnp.sqrt(u**2 + 1e-8))

    def _start(self, state: RowState, at: Point) -> RowState:
        """At the row's code, with what is known of it."""
        bad = ~jnp.isfinite(at.value) | ~jnp.all(jnp.isfinite(at.slope))
        phase = jnp.where(at.score >= state.wanted, CLIMBING, RISING)
        phase = jnp.where(self.satisfied(at) | bad, DONE, phase).astype(jnp.int32)
        bound = jnp.full_like(state.bound, -jnp.inf)
        if self.floor is not None:
            bound = jnp.minimum(self.floor, at.log_density).astype(bound.dtype)
        return state._replace(at=at, best=at.value, phase=phase, bound=bound)

    def _move(
        self, state: RowState, found: Point
    ) -> tuple[RowState, Bool[Array, ""], Bool[Array, ""]]:
        """A step taken or not, where the row is rising or climbing; and the direction's fate.

        Returns:
            the row; whether it needs another direction; whether that is of another kind.
        """
        climbing, tried = state.phase == CLIMBING, self._judged(state, found)
        at, wasted = _where(tried.taken, found, state.at), ~tried.taken
        misses = jnp.where(tried.taken, 0, state.misses + 1)
        step = self._next_step(state, tried, misses)
        mass = jnp.where(tried.forced, 1.0, _FADING * state.mass + 1)
        mean = ((mass - 1) * state.reference + tried.raised) / mass
        reference = jnp.where(tried.forced, tried.raised, mean)
        held = wasted & tried.finite & ~tried.keeps
        slides = held & ~state.blocked
        slides = slides & ((misses >= _MISSES) | self._tight(state, state.direction))
        counts = at.value > state.best + _COUNTS * self.target.tolerance
        idle = jnp.where(counts | climbing, 0, state.idle + 1)
        short = step * _norm(state.direction) < _SHORTEST
        stuck = wasted & short | ~climbing & (idle >= _PATIENCE)
        stuck = stuck | wasted & state.blocked & (tried.promised <= 0)
        # Where log p cannot rise without a loss of s, s goes first.
        further = stuck & climbing & (state.blocked | ~held)
        phase = jnp.where(tried.taken & (at.score >= state.wanted), CLIMBING, state.phase)
        ends = stuck & (phase == RISING)
        freed = ends & (state.bound > -jnp.inf) & ~further
        phase = jnp.where(further, RISING, jnp.where(ends & ~freed, DONE, phase))
        # The first answer is bisected back towards where it came from.
        phase = jnp.where(tried.satisfied, RETURNING, phase)
        new = state._replace(
            at=at,
            low=jnp.where(tried.satisfied, state.at.z, state.low),
            step=step,
            reference=jnp.where(tried.taken, reference, state.reference),
            mass=jnp.where(tried.taken, mass, state.mass),
            misses=jnp.where(freed | slides, 0, misses),
            forced=jnp.where(freed, 0, state.forced + tried.forced),
            best=jnp.where(counts, at.value, state.best),
            idle=jnp.where(freed, 0, idle),
            phase=phase,
            bound=jnp.where(freed, -jnp.inf, state.bound),
            wanted=jnp.where(further, at.score + _FURTHER, state.wanted),
            blocked=(slides | state.blocked) & ~further & ~freed & (phase == state.phase),
        )
        afresh = (phase != state.phase) | slides | freed
        return new, tried.taken | afresh, afresh

    def _judged(self, state: RowState, found: Point) -> _Try:
        """What a try is worth, where the row is rising or climbing."""
        climbing = state.phase == CLIMBING
        slope = jnp.where(climbing, state.at.density_slope, state.at.slope)
        promised = _ARMIJO * state.step * jnp.dot(slope, state.direction)
        finite = jnp.isfinite(found.value) & jnp.isfinite(found.log_density)
        finite = finite & jnp.all(jnp.isfinite(found.slope))
        keeps = jnp.where(climbing, found.score >= state.wanted, found.log_density >= state.bound)
        raised = jnp.where(climbing, found.log_density, found.value)
        rises = (raised >= state.reference + promised) | ~self._searched(state)
        satisfied = finite & self.satisfied(found)
        forced = _stands(state, state.misses)
        taken = finite & keeps & (rises | forced) | satisfied
        return _Try(raised, promised, finite, keeps, satisfied, forced, taken)

    def _next_step(self, state: RowState, tried: _Try, misses: Int[Array, ""]) -> Float[Array, ""]:
        """Lambda after a try: as it was, half of it, or what makes a step of a set length."""
        step = jnp.where(tried.taken | ~self._searched(state), 1.0, 0.5) * state.step
        set_length = self.first * (1 - state.forced / _MOST_FORCED)
        return jnp.where(_stands(state, misses), set_length / _norm(state.direction), step)

    def _searched(self, state: RowState) -> Bool[Array, ""]:
        """Whether a step is taken only where it rises."""
        return self.geometry.line_search | (state.phase == CLIMBING)

    def _return(self, state: RowState, found: Point) -> RowState:
        """One bisection."""
        good = self.satisfied(found)
        low = jnp.where(good, state.low, found.z)
        at, halvings = _where(good, found, state.at), state.halvings + 1
        over = at.score - self._level(at.z.dtype)
        done = (halvings >= _BISECTIONS) | (over <= self.target.tolerance)
        phase = jnp.where(done, DONE, RETURNING)
        return state._replace(at=at, low=low, halvings=halvings, phase=phase)

    def _directed(self, state: RowState, before: RowState, *, afresh: Any) -> RowState:
        """With the direction of the next step and its length; `afresh` where another thing is raised."""
        at, climbing = state.at, state.phase == CLIMBING
        decode = self.generator.like(state.x0).decode
        own, memory = self.geometry.direction(decode, at.z, at.slope, state.memory)
        h, g = at.density_slope, at.slope
        free = jnp.where(climbing, h, own)
        blocked = state.blocked & (afresh | self._tight(state, free))
        direction = jnp.where(climbing, _without(h, g), _within(own, h))
        direction = jnp.where(blocked, direction, free)
        length = _norm(direction)
        step = state.step
        if self.geometry.line_search:
            moved, turned = at.z - before.at.z, direction - before.direction
            spectral = jnp.dot(moved, moved) / jnp.maximum(jnp.abs(jnp.dot(moved, turned)), _TINY)
            step = jnp.clip(spectral, 0.1 * step, _LONGEST / length)
        step = jnp.where(afresh | (state.blocked & ~blocked), self.first / length, step)
        raised = jnp.where(climbing, at.log_density, at.value)
        lengths = jnp.linalg.norm(own) * jnp.linalg.norm(g)
        drift = 1 - jnp.dot(own, g) / jnp.maximum(lengths, _TINY)
        return state._replace(
            direction=direction, memory=memory, step=step, blocked=blocked,
            reference=jnp.where(afresh, raised, state.reference),
            mass=jnp.where(afresh, 1.0, state.mass),
            drift=jnp.where(climbing, state.drift, jnp.maximum(state.drift, drift)),
        )  # fmt: skip

    def _tight(self, state: RowState, direction: Float[Array, " d"]) -> Bool[Array, ""]:
        """Whether a short step that way leads over the edge, to first order."""
        at, climbing = state.at, state.phase == CLIMBING
        room = jnp.where(climbing, at.score - state.wanted, at.log_density - state.bound)
        slope = jnp.where(climbing, at.slope, at.density_slope)
        return room + self.first * jnp.dot(slope, direction) / _norm(direction) < 0


def _without(d: Float[Array, " d"], g: Float[Array, " d"]) -> Float[Array, " d"]:
    """d without its part against g."""
    return d - jnp.minimum(jnp.dot(d, g), 0.0) / jnp.maximum(jnp.dot(g, g), _TINY) * g


def _within(d: Float[Array, " d"], h: Float[Array, " d"]) -> Float[Array, " d"]:
    """d without its part against h, and a little along h."""
    along = _without(d, h)
    return along + _INWARD * jnp.linalg.norm(along) / _norm(h) * h


def _norm(d: Float[Array, " d"]) -> Float[Array, ""]:
    """The length of d, which may be divided by."""
    return jnp.maximum(jnp.linalg.norm(d), _TINY)


def _stands(state: RowState, misses: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether a rising row that missed so often takes a step of a set length, whatever comes of it."""
    return (state.phase != CLIMBING) & (misses == _MISSES) & (state.forced < _MOST_FORCED)


def _where(condition: Bool[Array, ""], a: Any, b: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), a, b)
