"""The loop over data, the only one.

One compiled program moves the state by n steps, n being an argument: `lax.fori_loop` over a buffer of
row numbers. Which rows step t sees is a function of (seed, t), and the state carries everything else,
so how the steps are cut into dispatches changes no bit of the result. Events (validation, early
stopping, checkpoints) happen at fixed step counts; the clock decides only how often progress is shown.

An algorithm that rejects steps which are not finite reports them as a bound of NaN. Ten in a row end
the run, with the row and the term that the first of them broke on.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from taut.core import Datum, Estimate, InputError, RunError, counted, option
from taut.core.hosts import told_by_all
from taut.data import RowSource
from taut.inference import Algorithm, compiled_steps
from taut.training.blame import blame
from taut.training.feeds import Supply, feed_of
from taut.training.interrupts import deferred_interrupt
from taut.training.schedules import Plateau

__all__ = ["Loop", "Progress", "Recorder", "TrainingState", "start", "train"]

_SECONDS = 0.5  # between two progress reports, roughly
_MOST_REJECTED = 10  # steps in a row; a rare bad draw is passed over, a broken model is not


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
        scale: what a plateau has multiplied the updates by.
        rejected: steps in a row, up to now, whose bound was not finite.
        step: steps taken.
    """

    inference: Any
    best: Any
    best_value: np.ndarray
    best_step: np.ndarray
    stale: np.ndarray
    scale: np.ndarray
    rejected: np.ndarray
    step: np.ndarray


class Recorder(NamedTuple):
    """Where the loop reports to; either part may be left out.

    Attributes:
        steps: called after consecutive steps with the first one's number, their metrics, each (n,),
            and the validation estimate made after the last of them, if one was.
        progress: called about twice a second.
        checkpoint: called with a state to keep, after `steps` was told of all steps before it.
        told: called as `steps`, after a due checkpoint: what it or `progress` raises stops the loop
            once the state is kept, and where it returns True after a validation the loop ends well.
    """

    steps: Callable[[int, dict[str, np.ndarray], Estimate | None], None] | None = None
    progress: Callable[[Progress], None] | None = None
    checkpoint: Callable[[TrainingState], object] | None = None
    told: Callable[[int, dict[str, np.ndarray], Estimate | None], object] | None = None


class Loop(NamedTuple):
    """How long, on what, and when to look.

    Attributes:
        num_steps: steps in all.
        batch_size: rows a step.
        seed: of the order of the rows.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints; 0 makes none but the last.
        patience: validations without a better value before stopping; 0 never stops early.
        plateau: when the steps become smaller; None never.
    """

    num_steps: int
    batch_size: int
    seed: int
    validate_every: int
    patience: int = 0
    plateau: Plateau | None = None
    checkpoint_every: int = 0


def train(
    algorithm: Algorithm,
    rows: Datum | RowSource,
    loop: Loop,
    *,
    validate: Callable[[Any], Estimate] | None = None,
    recorder: Recorder = Recorder(),  # noqa: B008 - immutable
    state: TrainingState | None = None,
) -> TrainingState:
    """Run an algorithm over data.

    Arguments:
        algorithm: what moves.
        rows: training rows, a batched datum or a source of them.
        loop: length, batch size, events.
        validate: from a pair to its bound on the validation rows; None keeps the last parameters, and
            so does a bound that never is finite.
        recorder: where metrics and progress go.
        state: where to go on from; None starts afresh.

    Returns:
        the state after the last step; `best` holds the parameters to keep.

    Raises:
        RunError: the bound is not finite, for good; the message names step, row and term.
        KeyboardInterrupt: Ctrl-C, after a checkpoint.
    """
    state = start(algorithm) if state is None else state
    if loop.plateau is not None and algorithm.rescale is None:
        raise InputError(
            "an algorithm with a step size", "one without", "the constant schedule",
            where=option("learning_rate_schedule"),
        )  # fmt: skip
    feed = feed_of(rows, batch_size=loop.batch_size, seed=loop.seed, num_steps=loop.num_steps)
    run = compiled_steps(algorithm)
    display = _Display(recorder.progress, loop, feed.num_rows)
    size, warm, validation = 1, False, None

    with deferred_interrupt() as interrupt:
        while int(state.step) < loop.num_steps and not _stopped(state, loop):
            first, tick = int(state.step), time.perf_counter()
            batches = feed.supply(first, min(size, _next_event(first, loop) - first))
            state, metrics = _moved(algorithm, run, state, batches)
            step, seconds = int(state.step), time.perf_counter() - tick
            # The first dispatch compiles; later ones last about as long as one report.
            size = max(1, int((step - first) * _SECONDS / seconds)) if warm else 16
            warm = True

            estimate = None
            if validate is not None and _due(step, loop.validate_every, loop):
                estimate = validate(algorithm.pair(state.inference))
                validation = estimate.value
                state = _judged(state, algorithm, validation, loop.plateau)
            if recorder.steps:
                recorder.steps(first, metrics, estimate)
            last = step == loop.num_steps or _stopped(state, loop)
            if last:
                state = _with_best(state, algorithm)
            sizes, interrupts = told_by_all(size, interrupt.made).T
            size, interrupted = int(sizes[0]), bool(interrupts.any())
            kept = last or interrupted or _due(step, loop.checkpoint_every, loop)
            if recorder.checkpoint and kept:
                recorder.checkpoint(state)
            wished = False
            with _kept(state, recorder if not kept else Recorder()):
                if recorder.told:
                    wished = bool(recorder.told(first, metrics, estimate))
                if interrupted:
                    raise KeyboardInterrupt(f"interrupted after {counted(step, 'step')}")
                display.show(step, metrics["bound"], validation, seconds)
            if estimate is not None and told_by_all(wished).any():
                if recorder.checkpoint and not kept:
                    recorder.checkpoint(state)
                return _with_best(state, algorithm)
    return state


def start(algorithm: Algorithm, *, value: float = -math.inf) -> TrainingState:
    """The state before the first step, whose parameters are kept where no later ones are better.

    Arguments:
        algorithm: what moves.
        value: their validation value, nats per row; -inf where they are no candidate.
    """
    inference = algorithm.init()
    return TrainingState(
        inference=inference,
        best=eqx.filter(algorithm.pair(inference), eqx.is_array),
        best_value=np.asarray(float(value)),
        best_step=np.zeros((), np.int32),
        stale=np.zeros((), np.int32),
        scale=np.ones(()),
        rejected=np.zeros((), np.int32),
        step=np.zeros((), np.int32),
    )


class _Display:
    """Progress, shown about twice a second and at the end.

    Arguments:
        report: what it is told to; None shows nothing.
        loop: what is planned.
        num_rows: training rows.
    """

    def __init__(self, report: Callable[[Progress], None] | None, loop: Loop, num_rows: int):
        self._report, self._loop, self._num_rows = report, loop, num_rows
        self._started = self._shown = time.perf_counter()

    def show(self, step: int, bound: np.ndarray, validation: float | None, seconds: float) -> None:
        """Tell of one dispatch, if it is time to.

        Arguments:
            step: steps taken.
            bound: of the steps of the dispatch, (n,), nats per row.
            validation: the last validation value, nats per row.
            seconds: that the dispatch took.
        """
        now = time.perf_counter()
        due = now - self._shown > _SECONDS or step == self._loop.num_steps
        if self._report is None or not due:
            return
        self._shown = now
        self._report(
            Progress(
                step=step,
                num_steps=self._loop.num_steps,
                epoch=step * self._loop.batch_size / self._num_rows,
                bound=float(bound.mean()),
                validation=validation,
                steps_per_second=len(bound) / seconds,
                seconds=now - self._started,
            )
        )


def _moved(
    algorithm: Algorithm, run: Callable[..., Any], state: TrainingState, batches: Supply
) -> tuple[TrainingState, dict[str, np.ndarray]]:
    """The state after the steps of one dispatch, and their metrics, each (n,).

    Arguments:
        algorithm: what moves.
        run: its compiled steps.
        state: before them.
        batches: of the dispatch.

    Raises:
        RunError: too many steps in a row were not finite.
    """
    rows, order, count = batches
    inference, log = run(state.inference, rows, order, count)
    metrics = {name: np.asarray(values)[:count] for name, values in log.items()}
    rejected = _rejected(metrics["bound"], int(state.rejected))
    most = _MOST_REJECTED if algorithm.inspect else 1
    if rejected.max() >= most:
        began = int(np.argmax(rejected >= most)) - most + 1
        first = max(began, 0)  # nothing has moved since an earlier dispatch
        before, _ = run(state.inference, rows, order, first)
        batch = jax.tree.map(lambda leaf: leaf[order[first]], rows)
        raise _failure(algorithm, before, batch, int(state.step) + began)
    step = np.asarray(int(state.step) + count, np.int32)
    return state._replace(inference=inference, rejected=rejected[-1], step=step), metrics


def _with_best(state: TrainingState, algorithm: Algorithm) -> TrainingState:
    """The state at the end: its last parameters are kept, never the first, where none were judged."""
    if np.isfinite(state.best_value):
        return state
    return state._replace(best=_arrays(algorithm, state), best_step=state.step)


@contextlib.contextmanager
def _kept(state: TrainingState, recorder: Recorder) -> Iterator[None]:
    """Where the block raises, the state is kept first."""
    try:
        yield
    except BaseException:
        if recorder.checkpoint:
            recorder.checkpoint(state)
        raise


def _judged(
    state: TrainingState, algorithm: Algorithm, value: float, plateau: Plateau | None
) -> TrainingState:
    if value > float(state.best_value):
        return state._replace(
            best=_arrays(algorithm, state),
            best_value=np.asarray(value),
            best_step=state.step,
            stale=np.zeros((), np.int32),
        )
    state = state._replace(stale=state.stale + np.int32(1))
    if plateau is None or int(state.stale) % plateau.patience:
        return state
    scale = max(plateau.least, float(state.scale) * plateau.factor)
    assert algorithm.rescale is not None  # checked before the first step
    inference = algorithm.rescale(state.inference, scale / float(state.scale))
    return state._replace(inference=inference, scale=np.asarray(scale))


def _arrays(algorithm: Algorithm, state: TrainingState) -> Any:
    return eqx.filter(algorithm.pair(state.inference), eqx.is_array)


def _stopped(state: TrainingState, loop: Loop) -> bool:
    return loop.patience > 0 and int(state.stale) >= loop.patience


def _rejected(bound: np.ndarray, before: int) -> np.ndarray:
    """After each step, how many in a row were not finite, (n,)."""
    counts = np.zeros(len(bound), np.int32)
    for i, finite in enumerate(np.isfinite(bound)):
        before = 0 if finite else before + 1
        counts[i] = before
    return counts


def _failure(algorithm: Algorithm, state: Any, batch: Datum, step: int) -> RunError:
    place = "" if algorithm.inspect is None else blame(algorithm.inspect(state, batch), batch)
    return RunError(
        "a finite bound at every step",
        f"none from step {step} on" + (f" ({place})" if place else ""),
        "a smaller learning rate, gradient clipping, or float64",
        where="training",
    )


def _due(step: int, every: int, loop: Loop) -> bool:
    return every > 0 and (step % every == 0 or step == loop.num_steps)


def _next_event(step: int, loop: Loop) -> int:
    every = [n for n in (loop.validate_every, loop.checkpoint_every) if n > 0]
    return min([(step // n + 1) * n for n in every] + [loop.num_steps])
