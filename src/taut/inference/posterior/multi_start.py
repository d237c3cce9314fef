"""Several starts, the failed ones drawn again, and which of them won.

Each start climbs a coarse sample average, then one that all share; all are then judged on common
fresh draws, so that differences between them have small errors:

    margin of start s over start t = mean over replicates of  f_r(q_s) - f_r(q_t)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from taut.core import Estimate, RunError
from taut.inference.posterior.sample_average import AbstractAscent

__all__ = ["Start", "Starts", "best_start"]

_COARSE = 2  # size of the draws that starts climb
_JUDGED = 8  # size of the draws that they are judged on
_REPLICATES = 4
_ATTEMPTS = 10  # per start that is wanted


class Start(NamedTuple):
    """One start that climbed.

    Attributes:
        guide: where it ended.
        behind: how much lower its bound is than the winner's on the same draws, nats.
        distance: how far its mean lies from the winner's, in the winner's standard deviations.
    """

    guide: Any
    behind: Estimate
    distance: float


class Starts(NamedTuple):
    """All starts.

    Attributes:
        winner: number of the start with the highest bound.
        starts: those that climbed.
        num_failed: those whose bound was not finite, or ran into such, and that were drawn again.
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


def best_start(
    ascent: AbstractAscent,
    start: Callable[[int], Any],
    generator: np.random.Generator,
    *,
    num_starts: int,
    precision_nats: float,
) -> Starts:
    """Climb from several starts and keep the highest.

    Arguments:
        ascent: the family.
        start: from the number of an attempt to a guide.
        generator: of all draws.
        num_starts: starts wanted.
        precision_nats: of the coarse climbs.

    Raises:
        RunError: no start has a finite bound.
    """
    guides, failed, steps, attempt = [], 0, 0, 0
    fine = ascent.draws(generator, _JUDGED)
    while len(guides) < num_starts and attempt < _ATTEMPTS * num_starts:
        draws = ascent.draws(generator, _COARSE)
        coarse = ascent.maximise(start(attempt), draws, tolerance=precision_nats)
        climbed = ascent.maximise(coarse.guide, fine, tolerance=0.25 * precision_nats)
        attempt, steps = attempt + 1, steps + coarse.num_steps + climbed.num_steps
        if np.isfinite(climbed.value):
            guides.append(climbed.guide)
        else:
            failed += 1
    if not guides:
        raise RunError(
            "a start with a finite bound",
            f"none in {attempt}",
            "data and parameters that have a positive density together, or a start of your own",
            where="starts",
        )
    common = [ascent.draws(generator, _JUDGED) for _ in range(_REPLICATES)]
    values = np.array([[ascent.value(guide, draws) for draws in common] for guide in guides])
    with np.errstate(invalid="ignore"):
        winner = int(np.argmax(np.nan_to_num(values.mean(axis=1), nan=-np.inf)))
        behind = values[winner] - values
    return Starts(
        winner,
        tuple(
            Start(guide, _estimate(row), ascent.distance(guide, guides[winner]))
            for guide, row in zip(guides, behind, strict=True)
        ),
        failed,
        steps,
    )


def _estimate(differences: np.ndarray) -> Estimate:
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return Estimate(float(differences.mean()), "unbiased", float(error), unit="nats")
