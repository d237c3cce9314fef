"""Sample-average approximation: the ELBO over fixed draws is maximised, with a stopping rule in nats.

    f_K(q) = average of log w over K fixed draws,      E f_K(q) = ELBO(q)

f_K is a deterministic function, so q_K = argmax f_K is found to any accuracy by a method for
deterministic functions (natural gradients, L-BFGS). Let q be the guide so far and f_K a sample average
over fresh draws. Because a mean of maxima is at least the maximum of means,

    ELBO(q) = E f_K(q)      <=      max_q' ELBO(q')      <=      E max_q' f_K(q'),

so that G = max f_K - f_K(q), paired on the same draws and never negative, is in expectation an
upper bound of what the family can still gain. R independent replicates give its mean and standard
error. Optimization stops when mean(G) + t error(G), t the 95 % quantile of Student's distribution with
R - 1 degrees of freedom, is below the precision; otherwise q is optimized on more draws.

Sources: Mak, Morton and Wood 1999 (the bounds, and pairing them); Giordano, Ingram and Broderick
2024, and Burroni, Domke and Sheldon 2023 (sample averages for variational inference).
"""

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import stdtrit

from taut.core import Estimate
from taut.core.optimum import Optimum
from taut.inference.posterior.family import AbstractFamily
from taut.inference.posterior.guide_fit import GuideFit, Round

__all__ = ["AbstractSampleAverageFamily", "sample_average_approximation"]

_REPLICATES = 4
_QUANTILE = 0.95
_FIRST_SIZE = 8  # in units of the family's smallest useful number of draws
_GROWTH = (2, 8)  # least and most factor between rounds


class AbstractSampleAverageFamily(AbstractFamily):
    """A family whose ELBO over fixed draws can be evaluated and maximised."""

    @abstractmethod
    def draws(self, generator: np.random.Generator, size: int) -> Any:
        """Fixed draws; `size` counts multiples of the smallest useful number."""

    @abstractmethod
    def num_draws(self, size: int) -> int:
        """K of that size."""

    @abstractmethod
    def value(self, guide: Any, draws: Any) -> float:
        """The sample average, nats."""

    @abstractmethod
    def maximise(self, guide: Any, draws: Any, *, tolerance: float) -> Optimum:
        """Its maximum, starting from a guide, to `tolerance` nats; the point is a guide."""

    @abstractmethod
    def distance(self, first: Any, second: Any) -> float:
        """Largest difference of the means over coordinates, in standard deviations of the second."""


def sample_average_approximation(
    family: AbstractSampleAverageFamily,
    start: Any,
    generator: np.random.Generator,
    *,
    precision_nats: float,
    max_draws: int = 65_536,
    num_steps: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> GuideFit:
    """Maximise over more and more draws until the remaining gain is below the precision.

    Arguments:
        family: of the guides.
        start: a guide whose ELBO is finite.
        generator: of all draws.
        precision_nats: nats that may remain to be gained.
        max_draws: K at most; beyond it the fit ends unconverged.
        num_steps: evaluations already spent, for the record.
        clock: seconds.
    """
    began, size, guide, rounds = clock(), _FIRST_SIZE, start, []
    while True:
        optimum = family.maximise(
            guide, family.draws(generator, size), tolerance=0.05 * precision_nats
        )
        if optimum.unbounded:  # a start that did so too was dropped
            optimum = optimum._replace(point=guide, value=optimum.first)
        guide, num_steps = optimum.point, num_steps + optimum.num_steps
        fresh, gains = _replicates(
            family, optimum, generator, size, tolerance=0.05 * precision_nats
        )
        gain, gain_error = _mean_and_error(gains)
        allowed = gain + float(stdtrit(_REPLICATES - 1, _QUANTILE)) * gain_error
        bound, bound_error = _mean_and_error(fresh)
        rounds.append(
            Round(
                family.num_draws(size), num_steps, optimum.value, bound, bound_error,
                gain, gain_error, clock() - began,
            )
        )  # fmt: skip
        converged = optimum.converged and allowed < precision_nats
        growth = 2.0 if not np.isfinite(allowed) else 1.5 * allowed / precision_nats
        size = int(np.ceil(size * np.clip(growth, *_GROWTH)))
        stuck = not optimum.converged or not np.isfinite(bound)
        if converged or stuck or family.num_draws(size) > max_draws:
            break
    unit = "nats"
    return GuideFit(
        guide,
        Estimate(bound, "lower", bound_error, unit=unit),
        Estimate(gain, "upper", gain_error, unit=unit),
        tuple(rounds),
        converged,
    )


def _replicates(
    family: AbstractSampleAverageFamily,
    optimum: Optimum,
    generator: np.random.Generator,
    size: int,
    *,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The ELBO and the gain G of a guide on each of R fresh sets of draws."""
    fresh, gains = [], []
    for _ in range(_REPLICATES):
        draws = family.draws(generator, size)
        if optimum.converged:
            best = family.maximise(optimum.point, draws, tolerance=tolerance)
            fresh.append(best.first)
            gains.append(best.value - best.first)
        else:  # unknown until the round's own maximum is found
            fresh.append(family.value(optimum.point, draws))
            gains.append(np.inf)
    return np.asarray(fresh), np.asarray(gains)


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(values).all():
        return float(values.mean()), np.inf
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
