"""Restarts: EM from several starts, of which the one with the highest objective is kept."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from taut.core import InputError, RunError, option
from taut.inference.exact.em import EMResult, run_em
from taut.inference.exact.row_blocks import RowBlocks, Spread
from taut.inference.exact.starts import random_start
from taut.models import AbstractExactModel, FactorAnalysis, GaussianMixture

__all__ = ["Floor", "best_of_restarts"]


class Floor(NamedTuple):
    """How covariances and probabilities are kept off the boundary.

    Attributes:
        strength: pseudo-rows of a table of probabilities; of a density, its least variance in each
            column as a share of the column's own, and None for that of the column's resolution; 0 for
            none.
        added: added to the diagonal of covariances after the M-step, data units squared.
    """

    strength: float | None
    added: float = 0.0

    def of(self, model: AbstractExactModel, rows: RowBlocks) -> Any:
        """The arrays that the model's M-step takes.

        Raises:
            InputError: a negative or unserved floor; a constant cell without one.
        """
        for name, value in (("floor", self.strength), ("reg_covar", self.added)):
            if value is not None and not value >= 0:
                raise InputError("a number of at least 0", f"{value}", "1e-6", where=option(name))
        spread = rows.spread()
        least = spread.least
        if self.strength is not None:
            # A cell that is constant has its resolution alone.
            share = self.strength * spread.variance
            least = np.where(share > 0, share, spread.least) if self.strength > 0 else 0 * share
        with jax.enable_x64(True):
            floor = model.floor(self.strength or 0.0, added=self.added, least=jnp.asarray(least))
        self._refuse_constant(model, spread)
        return floor

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

    Returns:
        the run with the highest objective, and the objective that each run ended at, nats per row;
        NaN for a run that became singular.

    Raises:
        InputError: as `run_em` and `random_start`.
        RunError: every run failed.
    """
    if restarts < 1:
        raise InputError("at least one start", f"{restarts}", "4", where="restarts")
    arrays = floor.of(model, rows)
    best: EMResult | None = None
    failure: RunError | None = None
    ends: list[float] = []
    for number in range(1 if start is not None else restarts):
        first = start
        if first is None:
            own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            first = random_start(model, rows, rows.spread(), seed=own)

        def report(iteration: int, log_evidence: float, number: int = number) -> None:
            if on_iteration:
                on_iteration(number, iteration, log_evidence)

        try:
            result = run_em(
                first,
                rows,
                arrays,
                tolerance=tolerance,
                max_iterations=max_iterations,
                monotone=floor.added == 0,
                on_iteration=report,
            )
        except RunError as error:
            failure = error
            ends.append(float("nan"))
            continue
        ends.append(float(result.objective[-1]))
        if best is None or ends[-1] > best.objective[-1]:
            best = result
    if best is None:
        assert failure is not None
        raise failure
    return best, tuple(ends)
