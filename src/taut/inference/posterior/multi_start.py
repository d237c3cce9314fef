"""Multi-start: several starting points, the failed ones drawn again, and which of them was best.

Each start maximises a coarse sample average, then one that all share; all are then compared on common
fresh draws, so that differences between them have small errors:

    margin of start s over start t = mean over replicates of  f_r(q_s) - f_r(q_t)

A start whose guide widens without end is dropped, and another one is drawn, since a poor start can do
so on a proper posterior. The posterior is improper where that many do and none converges.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from taut.core import Estimate, RunError, option
from taut.core.optimum import Optimum
from taut.inference.posterior.gaussian import improper
from taut.inference.posterior.sample_average import AbstractSampleAverageFamily

__all__ = ["MultiStart", "Start", "multi_start"]

_COARSE = 2  # size of the draws of the first maximisation
_COMPARED = 8  # size of the draws of the second, and of the comparison
_REPLICATES = 4
_ATTEMPTS = 10  # per start that is wanted
_AGREEING = 3  # starts that widen without end, at least, before the posterior is said to


class Start(NamedTuple):
    """One start after optimization.

    Attributes:
        guide: the fitted guide.
        behind: how much lower its ELBO is than the winner's on the same draws, nats.
        distance: how far its mean lies from the winner's, in the winner's standard deviations.
    """

    guide: Any
    behind: Estimate
    distance: float


class MultiStart(NamedTuple):
    """All starts after optimization.

    Attributes:
        winner: position of the start with the highest ELBO.
        starts: those whose ELBO is finite.
        num_failed: those whose ELBO was or became not finite, and that were drawn again.
        endless: for each start that widened without end, how far above the winner's its ELBO was, nats.
        num_steps: evaluations of sample averages and their gradients.
    """

    winner: int
    starts: tuple[Start, ...]
    num_failed: int
    endless: tuple[float, ...]
    num_steps: int

    @property
    def guide(self) -> Any:
        """The winner's guide."""
        return self.starts[self.winner].guide


def multi_start(
    family: AbstractSampleAverageFamily,
    start: Callable[[int], Any],
    generator: np.random.Generator,
    *,
    num_starts: int,
    precision_nats: float,
    named: Callable[[int], str] | None = None,
) -> MultiStart:
    """Optimize from several starts.

    Arguments:
        family: of the guides.
        start: from the number of an attempt to a guide.
        generator: of all draws.
        num_starts: starts wanted.
        precision_nats: of the coarse maximisation.
        named: the parameter that a coordinate of z moves, for messages.

    Raises:
        RunError: no start has a finite ELBO, or several widen without end and none converges.
    """
    ends: list[Optimum] = []
    endless: list[Optimum] = []
    failed, steps, attempt = 0, 0, 0
    shared = family.draws(generator, _COMPARED)
    while _wanted(ends, num_starts) and attempt < _ATTEMPTS * num_starts:
        draws = family.draws(generator, _COARSE)
        end = family.maximise(start(attempt), draws, tolerance=precision_nats)
        attempt, steps = attempt + 1, steps + end.num_steps
        if not end.unbounded:
            end = family.maximise(end.point, shared, tolerance=0.25 * precision_nats)
            steps += end.num_steps
        if end.unbounded:
            endless.append(end)
            if len(endless) >= max(num_starts, _AGREEING):
                break
        elif np.isfinite(end.value):
            ends.append(end)
        else:
            failed += 1
    agreeing = len(endless) >= _AGREEING and not any(end.converged for end in ends)
    if agreeing or (endless and not ends):
        widest = max(endless, key=lambda end: end.value)
        moments = family.moments(widest.point)
        raise improper(moments, widest.value, num_starts=len(endless), named=named)
    if not ends:
        raise RunError(
            "a starting point with a finite ELBO",
            f"none in {attempt}",
            f"{option('init', 'pathfinder')}, or a program that gives its data a positive density",
            where="starts",
        )
    guides = [end.point for end in ends]
    common = [family.draws(generator, _COMPARED) for _ in range(_REPLICATES)]
    values = np.array([[family.value(guide, draws) for draws in common] for guide in guides])
    with np.errstate(invalid="ignore"):
        winner = int(np.argmax(np.nan_to_num(values.mean(axis=1), nan=-np.inf)))
        behind = values[winner] - values
    return MultiStart(
        winner,
        tuple(
            Start(guide, _estimate(row), family.distance(guide, guides[winner]))
            for guide, row in zip(guides, behind, strict=True)
        ),
        failed,
        tuple(end.value - float(values[winner].mean()) for end in endless),
        steps,
    )


def _wanted(ends: list[Optimum], num_starts: int) -> bool:
    """Whether another start is: where none has converged, up to twice as many as were asked for."""
    converged = any(end.converged for end in ends)
    return len(ends) < (num_starts if converged else 2 * num_starts)


def _estimate(differences: np.ndarray) -> Estimate:
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return Estimate(float(differences.mean()), "unbiased", float(error), unit="nats")
