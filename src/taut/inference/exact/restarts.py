"""Restarts: EM from several starts, of which the one with the highest objective is kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from taut.core import InputError, RunError, option
from taut.inference.exact.em import Climb, EMResult, run_em
from taut.inference.exact.held import Held
from taut.inference.exact.row_blocks import RowBlocks, Spread
from taut.inference.exact.starts import random_start
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel, FactorAnalysis, GaussianMixture

__all__ = ["Floor", "best_of_restarts"]


class Floor(NamedTuple):
    """How covariances and probabilities are kept off the boundary.

    Attributes:
        strength: pseudo-rows of a table of probabilities; of a density, its least variance in each
            column as a share of the column's own, and None for that of the column's resolution; 0 for
            none.
        added: added to the diagonal of covariances after the M-step, data units squared.
        pseudo_rows: whether strength is pseudo-rows for densities too, beside the variance of the
            column's resolution.
    """

    strength: float | None
    added: float = 0.0
    pseudo_rows: bool = False

    def of(self, model: AbstractExactModel, rows: RowBlocks) -> Any:
        """The arrays that the model's M-step takes.

        Raises:
            InputError: a negative or unserved floor; a constant cell without one.
        """
        for name, value in (("floor", self.strength), ("reg_covar", self.added)):
            if value is not None and not value >= 0:
                raise InputError("a number of at least 0", f"{value}", "1e-6", where=option(name))
        spread = rows.spread()
        least = self.least(spread)
        with jax.enable_x64(True):
            floor = model.floor(
                self.strength or 0.0, added=self.added, least=jnp.asarray(least),
                sample=rows.sample(),
            )  # fmt: skip
        self._refuse_constant(model, spread)
        return floor

    def least(self, spread: Spread) -> Float[np.ndarray, "..."]:
        """The least variance of every cell."""
        if self.strength is None or (self.pseudo_rows and self.strength > 0):
            return spread.least
        # A cell that is constant has its resolution alone.
        share = self.strength * spread.variance
        return np.where(share > 0, share, spread.least) if self.strength > 0 else 0 * share

    def _refuse_constant(self, model: AbstractExactModel, spread: Spread) -> None:
        if (
            self.strength != 0
            or self.added > 0
            or not isinstance(model, GaussianMixture | FactorAnalysis)
        ):
            return
        constant = np.flatnonzero(spread.variance.ravel() == 0)
        known = {cell for cell, _ in model.constants}
        for cell in constant:
            if cell not in known:
                raise InputError(
                    "cells that vary, where there is no floor", f"cell {cell} constant",
                    f"leaving out {option('floor')}, or dropping the cell", where="floor",
                )  # fmt: skip


class _Run(NamedTuple):
    """A finished run of EM as arrays: an `EMResult` whose held components are rows, (H, 4)."""

    model: AbstractExactModel
    log_evidence: Float[np.ndarray, " T"]
    objective: Float[np.ndarray, " T"]
    converged: Bool[np.ndarray, ""]
    held: Float[np.ndarray, "H 4"]

    @classmethod
    def of(cls, result: EMResult) -> "_Run":
        held = np.asarray(result.held, float).reshape(-1, len(Held._fields))
        return cls(*result[:3], np.asarray(result.converged), held)

    @property
    def result(self) -> EMResult:
        held = (
            Held(None if np.isnan(component) else int(component), int(d), float(r), int(row))
            for component, d, r, row in self.held
        )
        return EMResult(*self[:3], bool(self.converged), tuple(held))


class _Restarts(NamedTuple):
    """Runs from several starts on their way.

    Attributes:
        ends: the objective that each finished run ended at; NaN for one that became singular.
        best: the best of them; without iterations where there is none.
        climb: the run at hand; None before its start.
    """

    ends: Float[np.ndarray, " R"]
    best: _Run
    climb: Climb | None

    @property
    def found(self) -> bool:
        """Whether a run has ended well."""
        return len(self.best.objective) > 0

    def ended(self, run: _Run | None) -> "_Restarts":
        """With one more finished run; None for one that became singular."""
        if run is None:
            return _Restarts(np.append(self.ends, np.nan), self.best, None)
        end = float(run.objective[-1])
        better = not self.found or end > self.best.objective[-1]
        return _Restarts(np.append(self.ends, end), run if better else self.best, None)


def best_of_restarts(
    model: AbstractExactModel,
    rows: RowBlocks,
    floor: Floor,
    *,
    restarts: int,
    seed: int,
    tolerance: float,
    max_iterations: int,
    start: AbstractExactModel | None = None,
    on_iteration: Callable[[int, int, float], None] | None = None,
    watch: Callable[[int, int, Callable[[], Climb]], bool] | None = None,
    stages: AbstractStages = UNKEPT,
) -> tuple[EMResult, tuple[float, ...]]:
    """Run EM from random starts, or once from a given one.

    Arguments:
        model: of the kind and shapes wanted.
        rows: training rows.
        floor: see `Floor`.
        restarts: number of random starts.
        seed: restart i draws from the stream (seed, i).
        tolerance: nats per row.
        max_iterations: of each run.
        start: where to start instead.
        on_iteration: called with the restart, the iteration and the mean log-evidence.
        watch: called with the restart, the iteration and what makes the `Climb` so far; True ends the
            run there, and no other start follows.
        stages: of which this is one.

    Returns:
        the run with the highest objective, and the objective that each run ended at, nats per row;
        NaN for a run that became singular.

    Raises:
        InputError: as `run_em` and `random_start`.
        RunError: every run failed.
    """
    if restarts < 1:
        raise InputError("at least one start", f"{restarts}", "4", where="restarts")
    arrays, none = floor.of(model, rows), np.zeros(0)
    form = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), model)
    best = _Run(form, none, none, np.asarray(False), np.zeros((0, len(Held._fields))))
    empty = _Restarts(none, best, None)
    cells = rows.num_rows * model.width if model.statistics_depend_on_model else 0
    stopped = False

    def climbed(number: int, before: _Restarts) -> EMResult:
        first = start if before.climb is None else before.climb.state.model
        if first is None:
            first = _start(model, rows, floor, seed=seed, number=number)

        def report(iteration: int, log_evidence: float, so_far: Callable[[], Climb]) -> bool:
            nonlocal stopped
            if on_iteration:
                on_iteration(number, iteration, log_evidence)
            stopped = watch is not None and watch(number, iteration, so_far)
            return stopped

        return run_em(
            first, rows, arrays,
            tolerance=tolerance, max_iterations=max_iterations, monotone=floor.added == 0,
            on_iteration=report,
            begun=before.climb,
            reached=lambda climb: stages.reached(lambda: before._replace(climb=climb()), cells),
        )  # fmt: skip

    def compute() -> tuple[_Run, Float[np.ndarray, " R"]]:
        begun = stages.begun(lambda: empty._replace(climb=Climb.like(model, rows)))
        so_far = empty if begun is None else begun
        failure: RunError | None = None
        for number in range(len(so_far.ends), 1 if start is not None else restarts):
            try:
                so_far = so_far.ended(_Run.of(climbed(number, so_far)))
            except RunError as error:
                so_far, failure = so_far.ended(None), error
            if stopped:
                break
        if not so_far.found:
            assert failure is not None
            raise failure
        return so_far.best, so_far.ends

    with jax.enable_x64(True):
        run, ends = stages.once((best, none), compute)
    return run.result, tuple(ends.tolist())


def _start(
    model: AbstractExactModel, rows: RowBlocks, floor: Floor, *, seed: int, number: int
) -> AbstractExactModel:
    """The random start of a restart, which draws from a stream of its own."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    spread = rows.spread()
    # From below the floor the first M-step could only fall.
    least = np.maximum(spread.least, floor.least(spread))
    return random_start(model, rows, spread._replace(least=least), seed=own)
