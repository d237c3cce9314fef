"""Multi-start: several starting points, the failed ones drawn again, and which of them was best.

Each start maximises a coarse sample average, then one that all share; all are then compared on common
fresh draws, so that differences between them have small errors:

    margin of start s over start t = mean over replicates of  f_r(q_s) - f_r(q_t)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from taut.core import Estimate, RunError, option
from taut.inference.posterior.sample_average import AbstractSampleAverageFamily

__all__ = ["MultiStart", "Start", "multi_start"]

_COARSE = 2  # size of the draws of the first maximisation
_COMPARED = 8  # size of the draws of the second, and of the comparison
_REPLICATES = 4
_ATTEMPTS = 10  # per start that is wanted


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
        num_steps: evaluations of sample averages and their gradients.
    """

    winner: int
    starts: tuple[Start, ...]
    num_failed: int
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
) -> MultiStart:
    """Optimize from several starts.

    Arguments:
        family: of the guides.
        start: from the number of an attempt to a guide.
        generator: of all draws.
        num_starts: starts wanted.
        precision_nats: of the coarse maximisation.

    Raises:
        RunError: no start has a finite ELBO.
    """
    guides, failed, steps, attempt = [], 0, 0, 0
    shared = family.draws(generator, _COMPARED)
    while len(guides) < num_starts and attempt < _ATTEMPTS * num_starts:
        draws = family.draws(generator, _COARSE)
        rough = family.maximise(start(attempt), draws, tolerance=precision_nats)
        finer = family.maximise(rough.point, shared, tolerance=0.25 * precision_nats)
        attempt, steps = attempt + 1, steps + rough.num_steps + finer.num_steps
        if np.isfinite(finer.value):
            guides.append(finer.point)
        else:
            failed += 1
    if not guides:
        raise RunError(
            "a starting point with a finite ELBO",
            f"none in {attempt}",
            f"{option('init', 'pathfinder')}, or a program that gives its data a positive density",
            where="starts",
        )
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
        steps,
    )


def _estimate(differences: np.ndarray) -> Estimate:
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return Estimate(float(differences.mean()), "unbiased", float(error), unit="nats")
