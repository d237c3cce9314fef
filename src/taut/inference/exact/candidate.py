"""One candidate of `taut.em`: a number of components, fitted and judged."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from taut.core import Estimate
from taut.data import Data
from taut.inference.exact.em import EMResult, check_start, expectation_step, log_evidences
from taut.inference.exact.online_em import run_online_em, starting_rows
from taut.inference.exact.restarts import Floor, best_of_restarts
from taut.inference.exact.row_blocks import RowBlocks
from taut.inference.exact.starts import random_start
from taut.models import AbstractExactModel, ProbabilisticPCA

__all__ = ["Candidate", "Course", "fit_offline", "fit_online", "skeleton_of"]


class Course(NamedTuple):
    """How EM went.

    Attributes:
        steps: M-steps, or batches of online EM.
        converged: whether the last gain was below the tolerance; None for a closed form and online.
        ends: the objective that each start reached, nats per row; empty where there was one.
        held_apart: (component, number of the row) of each that the floor alone keeps from shrinking.
        start_rows: rows of the sample that online EM starts from; None for EM over all rows.
    """

    steps: int
    converged: bool | None = None
    ends: tuple[float, ...] = ()
    held_apart: tuple[tuple[int, int], ...] = ()
    start_rows: int | None = None


class Candidate(NamedTuple):
    """A fitted model with what it is judged by."""

    architecture: Any
    model: AbstractExactModel
    history: tuple[dict[str, Any], ...]
    course: Course
    train: float
    validation: Estimate
    bic: float


def fit_offline(
    architecture: Any,
    given: Data,
    floor: Floor,
    *,
    seed: int,
    restarts: int,
    tolerance: float,
    max_iterations: int,
    closed_form: bool = False,
    start: AbstractExactModel | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> Candidate:
    """EM over all training rows.

    Arguments:
        architecture: with the number of components that is to be fitted.
        given: rows of the three parts.
        floor: see `Floor`.
        seed: of everything random.
        restarts: random starts.
        tolerance: nats per row.
        max_iterations: of each run.
        closed_form: the closed form of probabilistic PCA instead.
        start: where to start instead of at random.
        report: called with restart, iteration and mean log-evidence, nats per row.
    """
    skeleton, rows = skeleton_of(architecture, given), RowBlocks(given.train, given.schema.name)
    if start is not None:
        check_start(start, skeleton)
    if closed_form:
        result = _closed_form(skeleton, rows, floor, seed)
        ends: tuple[float, ...] = ()
    else:
        result, ends = best_of_restarts(
            skeleton,
            rows,
            floor,
            restarts=restarts,
            seed=seed,
            tolerance=tolerance,
            max_iterations=max_iterations,
            start=start,
            on_iteration=report,
        )
    held = np.array([position for _, position in result.collapsed], int)
    course = Course(
        steps=len(result.log_evidence) - 1,
        converged=None if closed_form else bool(result.converged),
        ends=tuple(map(float, ends)) if len(ends) > 1 else (),
        held_apart=tuple(
            (int(k), int(row))
            for (k, _), row in zip(result.collapsed, given.train.numbers(held), strict=True)
        ),
    )
    history = tuple(
        {"step": step, "bound": float(value), "objective": float(objective)}
        for step, (value, objective) in enumerate(
            zip(result.log_evidence, result.objective, strict=True)
        )
    )
    return _judged(
        architecture, result.model, history, course, given, float(result.log_evidence[-1])
    )


def fit_online(
    architecture: Any,
    given: Data,
    floor: Floor,
    *,
    seed: int,
    restarts: int,
    tolerance: float,
    max_iterations: int,
    passes: float,
    batch_size: int,
    start: AbstractExactModel | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> Candidate:
    """EM on a sample, then online EM over all training rows.

    Arguments:
        architecture: with the number of components that is to be fitted.
        given: rows of the three parts.
        floor: see `Floor`.
        seed: of everything random.
        restarts: random starts on the sample.
        tolerance: nats per row, on the sample.
        max_iterations: of each run on the sample.
        passes: over all training rows.
        batch_size: rows of one M-step.
        start: where to start instead of at random.
        report: called with 0, the batch and its mean log-evidence, nats per row.
    """
    skeleton, rows = skeleton_of(architecture, given), RowBlocks(given.train, given.schema.name)
    if start is not None:
        check_start(start, skeleton)
    sample = RowBlocks(starting_rows(rows, seed=seed))
    begun, _ = best_of_restarts(
        skeleton,
        sample,
        floor,
        restarts=restarts,
        seed=seed,
        tolerance=tolerance,
        max_iterations=max_iterations,
        start=start,
    )
    model, bounds = run_online_em(
        begun.model,
        rows,
        floor.of(skeleton, rows),
        sample=sample.read(0, sample.num_rows),
        batch_size=batch_size,
        passes=passes,
        seed=seed,
        on_step=None if report is None else lambda step, value: report(0, step, value),
    )
    course = Course(steps=len(bounds), start_rows=sample.num_rows)
    history = tuple({"step": i, "bound": float(v)} for i, v in enumerate(bounds))
    train = float(np.mean(log_evidences(model, sample)))
    return _judged(architecture, model, history, course, given, train)


def _judged(
    architecture: Any,
    model: AbstractExactModel,
    history: tuple[dict[str, Any], ...],
    course: Course,
    given: Data,
    train: float,
) -> Candidate:
    values = log_evidences(model, RowBlocks(given.validation))
    count = len(given.train)
    bic = -2 * count * float(train) + model.num_parameters * float(np.log(count))
    validation = Estimate.from_rows(values, side="exact")
    return Candidate(architecture, model, history, course, float(train), validation, bic)


def skeleton_of(architecture: Any, given: Data) -> AbstractExactModel:
    with jax.enable_x64(True):
        model, _ = architecture.init(given.schema, jax.random.key(0)).bind()
    return model


def _closed_form(
    skeleton: AbstractExactModel, rows: RowBlocks, floor: Floor, seed: int
) -> EMResult:
    """Tipping and Bishop's optimum as a run of one M-step."""
    assert isinstance(skeleton, ProbabilisticPCA)
    arrays = floor.of(skeleton, rows)
    start = random_start(skeleton, rows, rows.spread(), seed=seed)
    assert isinstance(start, ProbabilisticPCA)
    with jax.enable_x64(True):
        state = expectation_step(start, rows)
        best = start.closed_form(state.statistics, arrays)
        moved = start.rebased(state.statistics, best)
        values = [start.log_evidence_of(state.statistics), best.log_evidence_of(moved)]
        trajectory = np.asarray([float(v) / rows.num_rows for v in values])
    return EMResult(best, trajectory, trajectory, True, ())
