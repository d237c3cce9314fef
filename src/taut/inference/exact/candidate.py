"""One candidate of `taut.em`: a number of components, fitted and judged."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from taut.core import Datum, Estimate, InputError, option, paired_difference
from taut.data import Data, Dataset
from taut.evidence.exact_columns import exact_columns
from taut.inference.exact.em import (
    EMResult,
    gathered,
    log_evidences,
)
from taut.inference.exact.given_start import check_start
from taut.inference.exact.held import Held, held_components
from taut.inference.exact.online_em import run_online_em, starting_rows
from taut.inference.exact.restarts import Floor, best_of_restarts
from taut.inference.exact.row_blocks import RowBlocks
from taut.inference.exact.starts import random_start
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel, ProbabilisticPCA

__all__ = [
    "Candidate",
    "Course",
    "Report",
    "Task",
    "fit_offline",
    "fit_online",
    "judged_rows",
    "skeleton_of",
]

_ROUNDING = 1e-6  # nats per row

Report = Callable[[int, int, float], None]


class Course(NamedTuple):
    """How EM went.

    Attributes:
        steps: M-steps, or batches of online EM.
        converged: whether what remained to be gained was below the tolerance; None for a closed form
            and online.
        ends: the objective that each start reached, nats per row; empty where there was one.
        held: the components whose spread the floor decides.
        start_rows: rows of the sample that online EM starts from; None for EM over all rows.
    """

    steps: int
    converged: bool | None = None
    ends: tuple[float, ...] = ()
    held: tuple[Held, ...] = ()
    start_rows: int | None = None


class Candidate(NamedTuple):
    """A fitted model with what it is judged by.

    Attributes:
        architecture: with its number of components.
        model: fitted.
        history: one record an iteration.
        course: how EM went.
        train: log-evidence of the training rows, or of a sample; nats per row.
        validation: of the validation rows.
        columns: the same of independent columns.
        bic: of the training rows.
    """

    architecture: Any
    model: AbstractExactModel
    history: tuple[dict[str, Any], ...]
    course: Course
    train: float
    validation: Estimate
    columns: Estimate
    bic: float

    @property
    def below_columns(self) -> bool:
        """Whether the validation rows are less likely than under columns on their own.

        By more than two errors of the mean.
        """
        if not math.isfinite(self.validation.value):
            return True
        difference = paired_difference(self.validation, self.columns)
        error = 0.0 if math.isnan(difference.data_error) else difference.data_error
        return difference.value < -max(2 * error, _ROUNDING)


class Task(NamedTuple):
    """One number of components to fit, by EM over all rows or online.

    Attributes:
        architecture: with the number of components that is to be fitted.
        given: rows of the three parts.
        floor: see `Floor`.
        seed: of everything random.
        restarts: random starts; online on the sample.
        tolerance: nats per row; online on the sample.
        max_iterations: of each run; online on the sample.
        start: where to start instead of at random.
        report: called with restart, iteration and mean log-evidence, nats per row; online with 0, the
            batch and its own.
        stages: of which the runs are some.
    """

    architecture: Any
    given: Data
    floor: Floor
    seed: int
    restarts: int
    tolerance: float
    max_iterations: int
    start: AbstractExactModel | None = None
    report: Report | None = None
    stages: AbstractStages = UNKEPT

    @property
    def of_restarts(self) -> dict[str, Any]:
        """What `best_of_restarts` takes of it by name, whichever the rows."""
        return {
            "restarts": self.restarts, "seed": self.seed, "tolerance": self.tolerance,
            "max_iterations": self.max_iterations, "start": self.start, "stages": self.stages,
        }  # fmt: skip


def fit_offline(task: Task, *, closed_form: bool = False) -> Candidate:
    """EM over all training rows.

    Arguments:
        task: what to fit.
        closed_form: the closed form of probabilistic PCA instead.
    """
    skeleton, rows = _checked(task)
    if closed_form:
        result = _closed_form(skeleton, rows, task.floor, task.seed)
        ends: tuple[float, ...] = ()
    else:
        result, ends = best_of_restarts(
            skeleton, rows, task.floor, **task.of_restarts, on_iteration=task.report
        )
    course = Course(
        steps=len(result.log_evidence) - 1,
        converged=None if closed_form else bool(result.converged),
        ends=tuple(map(float, ends)) if len(ends) > 1 else (),
        held=result.held,
    )
    history = tuple(
        {"step": step, "bound": float(value), "objective": float(objective)}
        for step, (value, objective) in enumerate(
            zip(result.log_evidence, result.objective, strict=True)
        )
    )
    return _judged(task, result.model, history, course, float(result.log_evidence[-1]))


def fit_online(task: Task, *, passes: float, batch_size: int) -> Candidate:
    """EM on a sample, then online EM over all training rows.

    Arguments:
        task: what to fit.
        passes: over all training rows.
        batch_size: rows of one M-step.
    """
    skeleton, rows = _checked(task)
    sample = starting_rows(rows, seed=task.seed)
    report = task.report
    begun, _ = best_of_restarts(skeleton, sample, task.floor, **task.of_restarts)
    arrays = task.floor.of(skeleton, rows)
    model, bounds = run_online_em(
        begun.model,
        rows,
        arrays,
        sample=sample,
        batch_size=batch_size,
        passes=passes,
        seed=task.seed,
        on_step=None if report is None else lambda step, value: report(0, step, value),
        stages=task.stages,
    )
    held = held_components(model, arrays, sample)
    share = rows.num_rows / sample.num_rows
    course = Course(
        steps=len(bounds),
        held=tuple(one._replace(rows=share * one.rows) for one in held),
        start_rows=sample.num_rows,
    )
    history = tuple({"step": i, "bound": float(v)} for i, v in enumerate(bounds))
    train = float(np.mean(log_evidences(model, sample)))
    return _judged(task, model, history, course, train)


def _checked(task: Task) -> tuple[AbstractExactModel, RowBlocks]:
    """A model of the kind wanted, which the start must fit, and the training rows."""
    skeleton = skeleton_of(task.architecture, task.given)
    rows = RowBlocks(task.given.train, task.given.schema.name)
    if task.start is not None:
        check_start(task.start, skeleton)
    return skeleton, rows


def _judged(
    task: Task,
    model: AbstractExactModel,
    history: tuple[dict[str, Any], ...],
    course: Course,
    train: float,
) -> Candidate:
    given = task.given
    count = len(given.train)
    bic = -2 * count * float(train) + model.num_parameters * float(np.log(count))
    validation, columns = judged_rows(model, given, given.validation, held=bool(course.held))
    return Candidate(
        task.architecture, model, history, course, float(train), validation, columns, bic
    )


def judged_rows(
    model: AbstractExactModel, given: Data, part: Dataset, *, held: bool
) -> tuple[Estimate, Estimate]:
    """Log-evidence of the rows of a part under a model, and under independent columns.

    Arguments:
        model: fitted to the training rows.
        given: all rows.
        part: those to judge by.
        held: whether the floor decides the spread of a component.
    """
    train, rows = RowBlocks(given.train), RowBlocks(part, once=True)
    train = starting_rows(train, seed=0) if train.in_parts else train
    known = train.read(0, train.num_rows)
    fitted = Estimate.from_rows(log_evidences(model, rows), side="exact", index=part.index)
    columns = exact_columns(model, known, map(Datum, rows.parts()), index=part.index)
    return fitted.without_bound() if held else fitted, columns


def skeleton_of(architecture: Any, given: Data) -> AbstractExactModel:
    """A model of an architecture for the schema of data, of the right shapes and full of zeros."""

    def made() -> AbstractExactModel:
        return architecture.init(given.schema, jax.random.key(0)).bind()[0]

    with jax.enable_x64(True):  # only traced: its operations are many small programs
        shapes = eqx.filter_eval_shape(made)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _closed_form(
    skeleton: AbstractExactModel, rows: RowBlocks, floor: Floor, seed: int
) -> EMResult:
    """Tipping and Bishop's optimum as a run of one M-step."""
    assert isinstance(skeleton, ProbabilisticPCA)
    if rows.holes:
        raise InputError(
            "rows without missing cells, for which alone there is a closed form", "missing cells",
            f"leaving out {option('closed_form')}", where=option("closed_form"),
        )  # fmt: skip
    arrays = floor.of(skeleton, rows)
    start = random_start(skeleton, rows, rows.spread(), seed=seed)
    assert isinstance(start, ProbabilisticPCA)
    with jax.enable_x64(True):
        state = gathered(start, rows)
        best = start.closed_form(state.statistics, arrays)
        moved = start.rebased(state.statistics, best)
        values = [start.log_evidence_of(state.statistics), best.log_evidence_of(moved)]
        trajectory = np.asarray([float(v) / rows.num_rows for v in values])
    return EMResult(best, trajectory, trajectory, True, held_components(best, arrays, rows))
