"""The loop over data, the only one.

One compiled program moves the state by n steps, n being an argument: `lax.fori_loop` over a buffer of
row numbers. Which rows step t sees is a function of (seed, t), and the state carries everything else,
so how the steps are cut into dispatches changes no bit of the result. Events (validation, early
stopping) happen at fixed step counts; the clock decides only how often progress is shown.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.core import Datum, Estimate, RunError
from taut.data import StreamedRows
from taut.inference import Algorithm
from taut.training.feeds import feed_of

__all__ = ["Loop", "Progress", "Recorder", "TrainingState", "compiled_steps", "start", "train"]

_SECONDS = 0.5  # between two progress reports, roughly


class Progress(NamedTuple):
    """What a progress display is told.

    Attributes:
        step: steps taken.
        num_steps: steps planned.
        epoch: passes over the training rows so far.
        bound: mean of the bound over the last dispatch, nats per row.
        validation: the last validation value, nats per row; None before the first.
        steps_per_second: over the last dispatch, compilation left out.
        seconds: since the start.
    """

    step: int
    num_steps: int
    epoch: float
    bound: float
    validation: float | None
    steps_per_second: float
    seconds: float


class TrainingState(NamedTuple):
    """Everything that training is: what a checkpoint holds.

    Attributes:
        inference: state of the algorithm.
        best: arrays of the pair with the best validation value so far.
        best_value: that value, nats per row; -inf before the first validation.
        best_step: the step it was reached at.
        stale: validations since then.
        step: steps taken.
    """

    inference: Any
    best: Any
    best_value: np.ndarray
    best_step: np.ndarray
    stale: np.ndarray
    step: np.ndarray


class Recorder(NamedTuple):
    """Where the loop reports to; either part may be left out.

    Attributes:
        steps: called after consecutive steps with the first one's number, their metrics, each (n,),
            and the validation estimate made after the last of them, if one was.
        progress: called about twice a second.
    """

    steps: Callable[[int, dict[str, np.ndarray], Estimate | None], None] | None = None
    progress: Callable[[Progress], None] | None = None


class Loop(NamedTuple):
    """How long, on what, and when to look.

    Attributes:
        num_steps: steps in all.
        batch_size: rows a step.
        seed: of the order of the rows.
        validate_every: steps between validations.
        patience: validations without a better value before stopping; 0 never stops early.
    """

    num_steps: int
    batch_size: int
    seed: int
    validate_every: int
    patience: int = 0


def train(
    algorithm: Algorithm,
    rows: Datum | StreamedRows,
    loop: Loop,
    *,
    validate: Callable[[Any], Estimate] | None = None,
    recorder: Recorder = Recorder(),  # noqa: B008 - immutable
    state: TrainingState | None = None,
) -> TrainingState:
    """Run an algorithm over data.

    Arguments:
        algorithm: what moves.
        rows: training rows, a batched datum or on disk.
        loop: length, batch size, events.
        validate: from a pair to its bound on the validation rows; None keeps the last parameters.
        recorder: where metrics and progress go.
        state: where to go on from; None starts afresh.

    Returns:
        the state after the last step; `best` holds the parameters to keep.

    Raises:
        RunError: the bound stopped being finite; the message names the step.
    """
    state = start(algorithm) if state is None else state
    feed = feed_of(rows, batch_size=loop.batch_size, seed=loop.seed, num_steps=loop.num_steps)
    run = compiled_steps(algorithm)
    started = time.perf_counter()
    size, warm, validation, shown = 1, False, None, started

    while int(state.step) < loop.num_steps and not _stopped(state, loop):
        step = int(state.step)
        event = min(_next_multiple(step, loop.validate_every), loop.num_steps)

        tick = time.perf_counter()
        supplied, order, count = feed.supply(step, min(size, event - step))
        inference, log = run(state.inference, supplied, order, count)
        metrics = {name: np.asarray(values)[:count] for name, values in log.items()}
        _refuse_non_finite(metrics["bound"], step)
        seconds = time.perf_counter() - tick

        state = state._replace(inference=inference, step=np.asarray(step + count, np.int32))
        estimate = None
        if validate is not None and int(state.step) == event:
            estimate = validate(algorithm.pair(state.inference))
            validation = estimate.value
            state = _judged(state, algorithm, validation)
        if recorder.steps:
            recorder.steps(step, metrics, estimate)
        now = time.perf_counter()
        if recorder.progress and (now - shown > _SECONDS or int(state.step) == loop.num_steps):
            shown = now
            recorder.progress(
                Progress(
                    step=int(state.step),
                    num_steps=loop.num_steps,
                    epoch=int(state.step) * loop.batch_size / feed.num_rows,
                    bound=float(metrics["bound"].mean()),
                    validation=validation,
                    steps_per_second=count / seconds,
                    seconds=now - started,
                )
            )
        # The first dispatch compiles; later ones are sized to last about as long as one report.
        size = max(1, int(count * _SECONDS / seconds)) if warm else 16
        warm = True
    if validate is None:
        state = state._replace(best=_arrays(algorithm, state), best_step=state.step)
    return state


def start(algorithm: Algorithm) -> TrainingState:
    """The state before the first step."""
    inference = algorithm.init()
    return TrainingState(
        inference=inference,
        best=eqx.filter(algorithm.pair(inference), eqx.is_array),
        best_value=np.asarray(-np.inf),
        best_step=np.zeros((), np.int32),
        stale=np.zeros((), np.int32),
        step=np.zeros((), np.int32),
    )


def compiled_steps(algorithm: Algorithm) -> Callable[..., Any]:
    """The one compiled program: (state, rows, order, count) -> (state, metrics of each step).

    `order` holds row numbers, (most steps, batch size), of which the first `count` rows are used.
    """

    @jax.jit
    def run(state: Any, rows: Datum, order: Any, count: Any) -> tuple[Any, dict[str, Any]]:
        def batch(i: Any) -> Datum:
            return jax.tree.map(lambda leaf: leaf[order[i]], rows)

        _, metrics = jax.eval_shape(algorithm.step, state, batch(0))
        log = jax.tree.map(lambda m: jnp.zeros((order.shape[0], *m.shape), m.dtype), metrics)

        def body(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, log = carry
            state, metrics = algorithm.step(state, batch(i))
            return state, jax.tree.map(lambda buffer, m: buffer.at[i].set(m), log, metrics)

        return jax.lax.fori_loop(0, count, body, (state, log))

    return run


def _judged(state: TrainingState, algorithm: Algorithm, value: float) -> TrainingState:
    if value > float(state.best_value):
        return state._replace(
            best=_arrays(algorithm, state),
            best_value=np.asarray(value),
            best_step=state.step,
            stale=np.zeros((), np.int32),
        )
    return state._replace(stale=state.stale + np.int32(1))


def _arrays(algorithm: Algorithm, state: TrainingState) -> Any:
    return eqx.filter(algorithm.pair(state.inference), eqx.is_array)


def _stopped(state: TrainingState, loop: Loop) -> bool:
    return loop.patience > 0 and int(state.stale) >= loop.patience


def _refuse_non_finite(bound: np.ndarray, first_step: int) -> None:
    bad = ~np.isfinite(bound)
    if bad.any():
        raise RunError(
            "a finite bound at every step",
            f"{bound[bad][0]} at step {first_step + int(np.argmax(bad))}",
            "a smaller learning rate, gradient clipping, or float64",
            where="training",
        )


def _next_multiple(step: int, every: int) -> int:
    return (step // every + 1) * every
