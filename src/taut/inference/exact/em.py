"""Exact EM with sufficient statistics, one pass over the data per iteration.

    E-step    s = sum_n E_{p(z | x_n; theta)}[s(x_n, z)]           `step`, batch by batch
    M-step    theta <- argmax of the penalised expected log-joint   `finish`

The objective, log-evidence plus the log-penalty of the floor, never falls (Dempster, Laird and Rubin
1977, theorem 1): a fall beyond rounding is raised as an error. The one exception is a constant added to
the diagonal of covariances, which raises no objective unless the covariance is tied; there the evidence
is reported as it comes. For models whose statistics are moments of x alone, iterations touch no data
unless cells are missing, which count as the model expects them.
"""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import Datum, InputError, RunError, num_rows, option
from taut.core.at_once import at_once
from taut.core.compiling import shared_jit
from taut.core.devices import num_devices, on_one, per_share, sum_of_shares, whole
from taut.core.hosts import told_by_all
from taut.guides import ExactPair
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.exact.held import Held, held_components, owned
from taut.inference.exact.row_blocks import Block, RowBlocks
from taut.models import AbstractExactModel
from taut.models.exact import AbstractMixture, Holes, holes_of
from taut.models.exact.gaussian_mixture import ROUNDING

__all__ = [
    "Climb",
    "EMResult",
    "EMState",
    "em",
    "expectation_step",
    "gathered",
    "holes_in",
    "log_evidences",
    "run_em",
]


_EPS = float(np.finfo(np.float64).eps)


class EMState(NamedTuple):
    """State of exact EM.

    Attributes:
        model: current parameters.
        statistics: sums over the rows seen in this pass.
    """

    model: AbstractExactModel
    statistics: Any


class Climb(NamedTuple):
    """A run of EM on its way.

    Attributes:
        state: after the last M-step and the E-step that follows it.
        log_evidence: mean over rows before the first and after every M-step so far, (t + 1,); nats.
        objective: the same with the floor's log-penalty divided by the number of rows, (t + 1,).
    """

    state: EMState
    log_evidence: Float[np.ndarray, " t"]
    objective: Float[np.ndarray, " t"]

    @classmethod
    def like(cls, model: AbstractExactModel, rows: RowBlocks) -> "Climb":
        """One of the form that a run of this model on these rows has, in float64."""
        with jax.enable_x64(True):
            form = _in_float64(model)
            none = EMState(form, _empty(form, rows))
        return cls(none, np.zeros(0), np.zeros(0))


class EMResult(NamedTuple):
    """What a run of EM leaves.

    Attributes:
        model: the parameters after the last M-step.
        log_evidence: mean over rows before the first and after every M-step, (T + 1,); exact, nats.
        objective: the same with the floor's log-penalty divided by the number of rows, (T + 1,).
        converged: whether what remains to be gained was below the tolerance.
        held: the components whose spread the floor decides in some direction.
    """

    model: AbstractExactModel
    log_evidence: Float[np.ndarray, " T"]
    objective: Float[np.ndarray, " T"]
    converged: bool
    held: tuple[Held, ...]


def em(model: AbstractExactModel, floor: Any, *, example: Datum) -> Algorithm:
    """Exact EM as an algorithm: `step` adds a batch's statistics up, `finish` is the M-step.

    Arguments:
        model: initial parameters.
        floor: what `model.floor` returned.
        example: one row, for the shape of the statistics.

    Returns:
        an `Algorithm` whose metric `bound` is the batch's mean log-evidence, exact; nats.
    """

    def init() -> EMState:
        return EMState(
            model, _no_statistics(model, jax.tree.map(jnp.asarray, Datum(example.x, example.mask)))
        )

    def step(state: EMState, batch: Datum) -> tuple[EMState, Metrics]:
        weight = jnp.ones(num_rows(batch)) if batch.weight is None else batch.weight
        gathered = state.model.expected(batch.x, weight, holes_in(batch))
        bound = state.model.log_evidence_of(gathered) / jnp.sum(weight)
        return EMState(state.model, _added(state.statistics, gathered)), {"bound": bound}

    def finish(state: EMState) -> EMState:
        moved = state.model.maximized(state.statistics, floor)
        return EMState(moved, jax.tree.map(jnp.zeros_like, state.statistics))

    return Algorithm(init, step, lambda state: ExactPair(state.model), finish)


def run_em(
    model: AbstractExactModel,
    rows: RowBlocks,
    floor: Any,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    monotone: bool = True,
    on_iteration: Callable[[int, float, Callable[[], Climb]], object] | None = None,
    begun: Climb | None = None,
    reached: Callable[[Callable[[], Climb]], None] | None = None,
) -> EMResult:
    """Iterate until less than `tolerance` nats per row remain to be gained.

    From the last two gains g, g' the rest is about g' a / (1 - a), a = g' / g (Aitken's extrapolation,
    as in Boehning, Dietz, Schaub, Schlattmann and Lindsay 1994); gains that grow tell of no end.

    Arguments:
        model: where to start; its arrays are in float64.
        rows: rows in memory or on disk; all of them are passed over in every iteration.
        floor: what `model.floor` returned.
        tolerance: nats per row; 0 runs for `max_iterations`.
        max_iterations: M-steps at most.
        monotone: whether the M-step is exact for an objective, so that a fall is an error.
        on_iteration: called after each M-step with its number, the mean log-evidence and what makes the
            `Climb` so far; True ends the run there.
        begun: where to go on instead of starting.
        reached: called after each M-step that is not the last with what makes the `Climb` so far.

    Raises:
        InputError: the start does not fit the rows, or the rows are identical or not finite.
        RunError: the objective fell beyond rounding, or a covariance became singular.
    """
    with jax.enable_x64(True):
        model = _in_float64(model)
        rounding = jnp.asarray(rows.spread().rounding)
        state, *values = _started(model, rows, floor) if begun is None else begun
        evidences, objectives = (value.tolist() for value in values)
        total, converged = rows.total, False

        def so_far() -> Climb:
            return Climb(state, np.asarray(evidences), np.asarray(objectives))

        for iteration in range(len(evidences), max_iterations + 1):
            moved, statistics, singular = _maximization(state, floor, rounding)
            if np.asarray(singular).any():
                raise _collapse(state.model, rows, int(np.argmax(singular)), iteration)
            state = EMState(moved, statistics)
            if moved.statistics_depend_on_model or rows.holes:
                state = expectation_step(moved, rows)
            log_evidence, penalty = _objective(state, floor)
            evidences.append(log_evidence / total)
            objectives.append((log_evidence + penalty) / total)
            if monotone:
                _refuse_fall(objectives[-2], objectives[-1], iteration)
            if on_iteration and on_iteration(iteration, evidences[-1], so_far):
                break
            if tolerance > 0 and _remaining(objectives) < tolerance:
                converged = True
                break
            if reached and iteration < max_iterations:
                reached(so_far)
        held = held_components(state.model, floor, rows)
        return EMResult(state.model, np.asarray(evidences), np.asarray(objectives), converged, held)


def _started(model: AbstractExactModel, rows: RowBlocks, floor: Any) -> Climb:
    """The climb before the first M-step."""
    state = gathered(model, rows)
    log_evidence, penalty = _objective(state, floor)
    objective = (log_evidence + penalty) / rows.total
    _refuse_unlikely(objective)
    return Climb(state, np.asarray([log_evidence / rows.total]), np.asarray([objective]))


def _refuse_fall(before: float, after: float, iteration: int) -> None:
    """Refuse an objective, nats per row, that fell beyond rounding."""
    gain = after - before
    if not gain >= -_allowed(before):
        raise RunError(
            "an objective that rises",
            f"a fall of {-gain:.3g} nats per row in iteration {iteration}",
            f"a larger {option('floor')}, or data whose columns have been centred",
            where="em",
        )


def gathered(model: AbstractExactModel, rows: RowBlocks) -> EMState:
    """The model with the statistics of all rows, or with the rows where it keeps them."""
    if model.keeps(rows.num_rows) and rows.alike:
        return EMState(model, model.kept(jnp.asarray(rows.read(0, rows.num_rows))))
    return expectation_step(model, rows)


def expectation_step(model: AbstractExactModel, rows: RowBlocks) -> EMState:
    """One pass over all rows: the model with their statistics."""
    if not rows.in_parts:

        def passed(block: Block) -> Any:
            return jax.block_until_ready(on_one(_pass(model, block, rows.holes)))

        return EMState(model, reduce(_added, at_once(passed, rows.blocks(model))))
    found = None
    for block in rows.blocks(model):
        jax.block_until_ready(found)  # one block in memory, not all
        own = on_one(_pass(model, block, rows.holes))
        found = own if found is None else _added(found, own)
    return EMState(model, found)


def holes_in(batch: Datum, most: int | None = None) -> Holes | None:
    """The holes of a batch whose rows miss so many cells at most, or any number of them."""
    if batch.mask is None:
        return None
    return holes_of(batch.mask, batch.mask[0].size if most is None else most)


def log_evidences(model: AbstractExactModel, rows: RowBlocks) -> Float[np.ndarray, " N"]:
    """log p(x) of every row, (N,), exact; nats."""
    parts = []
    with jax.enable_x64(True):
        model = _in_float64(model)
        for block in rows.in_order(model, width=16 * rows.size):
            values, weight = whole((_evidences(model, block.x, block.mask), block.weight))
            parts.append(values[weight > 0])
    return np.concatenate(parts)


@shared_jit
def _pass(model: AbstractExactModel, block: Block, holes: bool) -> Any:
    """The statistics of a block, in the form of rows with holes where other blocks have some."""
    expectation = model.expectation()

    def step(statistics: Any, chunk: Block) -> tuple[Any, None]:
        return _added(statistics, expectation(chunk.x, chunk.weight, chunk.holes)), None

    def of_rows(own: Block) -> Any:
        first = jax.tree.map(lambda part: part[0], own)
        none = _zeros_of(jax.eval_shape(expectation, first.x, first.weight, first.holes))
        return jax.lax.scan(step, none, own)[0]

    found = of_rows(block) if num_devices() == 1 else sum_of_shares(of_rows, block)
    return model.with_holes(found) if block.mask is None and holes else found


@shared_jit
def _maximization(state: EMState, floor: Any, rounding: Array) -> tuple[Any, Any, Array]:
    """The M-step, its model's view of the statistics, and which components are singular."""
    moved = state.model.maximized(state.statistics, floor)
    return moved, state.model.rebased(state.statistics, moved), moved.singular(rounding)


def _objective(state: EMState, floor: Any) -> tuple[float, float]:
    """Log-evidence of all rows and log-penalty, nats."""
    log_evidence, penalty = told_by_all(*map(float, _log_objective(state, floor)))[0].tolist()
    return log_evidence, penalty


@shared_jit
def _log_objective(state: EMState, floor: Any) -> tuple[Array, Array]:
    return state.model.log_evidence_of(state.statistics), state.model.log_penalty(floor)


@shared_jit
def _evidences(model: AbstractExactModel, x: Array, mask: Array | None) -> Array:
    # Chunk by chunk: all rows at once would hold (rows, K, D) differences.
    return per_share(lambda own: jax.lax.map(jax.vmap(model.log_evidence), own), Datum(x, mask))


def _collapse(
    model: AbstractExactModel, rows: RowBlocks, component: int, iteration: int
) -> RunError:
    if isinstance(model, AbstractMixture):
        row = rows.number(int(owned(model, rows)[1][component]))
        got = f"component {component} singular around row {row} in iteration {iteration}"
    else:
        got = f"a column without noise in iteration {iteration}"
    return RunError(
        "variances above rounding", got,
        f"a larger {option('floor')}, fewer components, or a simpler covariance",
        where="em",
    )  # fmt: skip


def _refuse_unlikely(objective: float) -> None:
    if not math.isfinite(objective):
        raise InputError(
            "a start under which every row is possible", f"a log-evidence of {objective}",
            "another start, or a floor", where="start",
        )  # fmt: skip


def _remaining(objectives: list[float]) -> float:
    """What the objective will still gain, nats per row; infinity where its gains do not say."""
    gain = objectives[-1] - objectives[-2]
    if abs(gain) <= 8 * _EPS * abs(objectives[-1]):
        return 0.0
    before = objectives[-2] - objectives[-3] if len(objectives) > 2 else 0.0
    if not abs(gain) < abs(before):
        return math.inf
    return gain * gain / (abs(before) - abs(gain))


def _allowed(objective: float) -> float:
    """Rounding of the difference of two objectives, nats per row."""
    return 2 * ROUNDING + 64 * _EPS * abs(objective)


@shared_jit  # traced once for all iterations
def _no_statistics(model: AbstractExactModel, row: Datum) -> Any:
    def of_one(model: AbstractExactModel, row: Datum) -> Any:
        batch = jax.tree.map(lambda part: part[None], row)
        return model.expected(batch.x, jnp.ones(1, batch.x.dtype), holes_in(batch))

    return _zeros_of(eqx.filter_eval_shape(of_one, model, row))


def _zeros_of(shapes: Any) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)


def _empty(model: AbstractExactModel, rows: RowBlocks) -> Any:
    """Zeros of the form of what `gathered` gathers."""
    if model.keeps(rows.num_rows) and rows.alike:
        return model.kept(jnp.zeros((rows.num_rows, *rows.shape)))
    return _no_statistics(model, _row_like(rows))


def _row_like(rows: RowBlocks) -> Datum:
    """A row of zeros, with a mask where rows may have holes."""
    return Datum(np.zeros(rows.shape), np.ones(rows.shape, bool) if rows.holes else None)


def _added(first: Any, second: Any) -> Any:
    return jax.tree.map(jnp.add, first, second)


def _in_float64(model: AbstractExactModel) -> AbstractExactModel:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)
