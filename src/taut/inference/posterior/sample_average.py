"""Maximising a bound over fixed draws, with a stopping rule in nats.

    f_K(q) = average of log w over K fixed draws,      E f_K(q) = ELBO(q)

f_K is a deterministic function, so q_K = argmax f_K is found to any accuracy by a quasi-Newton
method. Let q be the guide in hand and f_K a sample average over fresh draws. Because a mean of
maxima is at least the maximum of means,

    ELBO(q) = E f_K(q)      <=      max_q' ELBO(q')      <=      E max_q' f_K(q'),

so that G = max f_K - f_K(q), paired on the same draws and never negative, is in expectation an
upper bound of what the family still has to give. R independent replicates give its mean and
standard error. The ascent stops when mean(G) + t error(G), t the 95 % quantile of Student's
distribution with R - 1 degrees of freedom, is below the precision; otherwise q is moved on more
draws.

Sources: Mak, Morton and Wood 1999 (the bounds, and pairing them); Giordano, Ingram and Broderick
2024, and Burroni, Domke and Sheldon 2023 (sample averages for variational inference).
"""

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from taut.core import Estimate
from taut.inference.posterior.drawable import AbstractDrawable

__all__ = ["AbstractAscent", "Ascended", "Ascent", "Round", "sample_average"]

_REPLICATES = 4
_QUANTILE = 0.95
_FIRST_SIZE = 8  # in units of the ascent's smallest useful number of draws
_GROWTH = (2, 8)  # least and most factor between rounds


class Ascended(NamedTuple):
    """One maximisation over fixed draws.

    Attributes:
        guide: the maximiser.
        value: the sample average there, nats.
        num_steps: evaluations of the sample average and its gradient.
        converged: whether it was maximised to the tolerance.
        first: the sample average at the start, nats.
    """

    guide: Any
    value: float
    num_steps: int
    converged: bool
    first: float


class AbstractAscent(AbstractDrawable):
    """How the sample average of one family of guides is evaluated and maximised."""

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
    def maximise(self, guide: Any, draws: Any, *, tolerance: float) -> Ascended:
        """Its maximum from a guide, to `tolerance` nats."""

    @abstractmethod
    def distance(self, first: Any, second: Any) -> float:
        """Largest difference of the means over coordinates, in standard deviations of the second."""


class Round(NamedTuple):
    """One round of draws.

    Attributes:
        num_draws: K.
        num_steps: evaluations of the sample average and its gradient, those of the gap left out.
        in_sample: the maximum over the round's own draws, nats; an upper value in expectation; NaN for
            a stretch of stochastic steps.
        bound: the ELBO of its maximiser on fresh draws, nats.
        bound_error: standard error.
        gain: mean of G over the replicates, nats; what the round won for a stretch.
        gain_error: standard error.
        seconds: since the ascent began.
    """

    num_draws: int
    num_steps: int
    in_sample: float
    bound: float
    bound_error: float
    gain: float
    gain_error: float
    seconds: float

    @property
    def stretch(self) -> bool:
        """Whether the round was a stretch of stochastic steps (`climb_in_stretches`)."""
        return bool(np.isnan(self.in_sample))


class Ascent(NamedTuple):
    """A finished ascent.

    Attributes:
        guide: the guide in hand.
        elbo: its bound on fresh draws; lower.
        remaining: what the family still has to give at most, in expectation over draws; upper.
        rounds: what was done.
        converged: whether the stopping rule was met.
    """

    guide: Any
    elbo: Estimate
    remaining: Estimate
    rounds: tuple[Round, ...]
    converged: bool


def sample_average(
    ascent: AbstractAscent,
    start: Any,
    generator: np.random.Generator,
    *,
    precision_nats: float,
    max_draws: int = 65_536,
    num_steps: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Ascent:
    """Maximise until the remaining gain is below the precision.

    Arguments:
        ascent: the family.
        start: a guide whose bound is finite.
        generator: of all draws.
        precision_nats: nats that may remain.
        max_draws: K at most; beyond it the ascent ends unconverged.
        num_steps: evaluations already spent, for the record.
        clock: seconds.
    """
    began, size, guide, rounds = clock(), _FIRST_SIZE, start, []
    while True:
        inner = ascent.maximise(
            guide, ascent.draws(generator, size), tolerance=0.05 * precision_nats
        )
        guide, num_steps = inner.guide, num_steps + inner.num_steps
        fresh, gains = _replicates(ascent, inner, generator, size, tolerance=0.05 * precision_nats)
        gain, gain_error = _mean_and_error(gains)
        allowed = gain + float(stdtrit(_REPLICATES - 1, _QUANTILE)) * gain_error
        bound, bound_error = _mean_and_error(fresh)
        rounds.append(
            Round(
                ascent.num_draws(size), num_steps, inner.value, bound, bound_error,
                gain, gain_error, clock() - began,
            )
        )  # fmt: skip
        converged = inner.converged and allowed < precision_nats
        growth = 2.0 if not np.isfinite(allowed) else 1.5 * allowed / precision_nats
        size = int(np.ceil(size * np.clip(growth, *_GROWTH)))
        stuck = not inner.converged or not np.isfinite(bound)
        if converged or stuck or ascent.num_draws(size) > max_draws:
            break
    unit = "nats"
    return Ascent(
        guide,
        Estimate(bound, "lower", bound_error, unit=unit),
        Estimate(gain, "upper", gain_error, unit=unit),
        tuple(rounds),
        converged,
    )


def _replicates(
    ascent: AbstractAscent,
    inner: Ascended,
    generator: np.random.Generator,
    size: int,
    *,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The bound and the gain G of a guide on each of R fresh sets of draws."""
    fresh, gains = [], []
    for _ in range(_REPLICATES):
        draws = ascent.draws(generator, size)
        if inner.converged:
            best = ascent.maximise(inner.guide, draws, tolerance=tolerance)
            fresh.append(best.first)
            gains.append(best.value - best.first)
        else:  # unknown until the round's own maximum is found
            fresh.append(ascent.value(inner.guide, draws))
            gains.append(np.inf)
    return np.asarray(fresh), np.asarray(gains)


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(values).all():
        return float(values.mean()), np.inf
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
