"""Whether to believe a fitted posterior: a verdict in words, from what was measured.

The first line that applies decides:

    the ELBO could still rise                                                       do not believe
    k-hat unknown, or above min(1 - 1 / log10 K, 0.7) while some draw weighs more
    than ten times the mean; or fewer effective draws than a mean to 0.1 sd takes,
    900 or two fifths of the draws; or an sd of large error, or that hangs on a few
    draws: k-hat of the squares about a mean above a half, and by it more than a
    fiftieth of the variance missing                                                do not believe
    a start widened without end, and its ELBO was above the others'                 do not believe
    starts ended in separate optima whose mass would move the mean or the sd        do not believe
    the guide's means within 0.1 sd, and its sds within 15 %, of the resampled      believe
    otherwise                                                             believe after resampling

k-hat is the shape of the largest weights, whatever their size. Where none is large, and a fifth of
the draws come from a proposal with heavy tails, it is the shape of differences that move no
average.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taut.errors import option, worded
from taut.evidence import PosteriorMoments, SquareTails

__all__ = [
    "BELIEVE", "DOUBT", "RESAMPLE", "SEPARATE", "Verdict", "better_guide", "hanging", "judge",
    "largest_sd_error", "least_draws", "reliable", "sd_error_allowed",
]  # fmt: skip

BELIEVE = "believe"
RESAMPLE = "believe after resampling"
DOUBT = "do not believe"

_LEAST_ESS = 900.0  # three standard errors of a mean are then a tenth of a standard deviation
_LEAST_SHARE = 0.4  # of the draws, where few were asked for: their error is a wish
_SD_ERROR = 0.05  # relative: three of them are 15 %; tails without a fourth moment have more
_SQUARES = 0.5  # k-hat of squares from where on they have no variance, nor an sd an error
_MISSED = 0.02  # of the variance: 1 % of the sd, and a few times that where k-hat is too small
_MEAN, _SD = 0.1, 0.15  # of a standard deviation: what a reader of a table would not notice
_MOVED = (0.1, 0.3)  # of the winner's sd and variance: what another optimum may add
_SIMILAR_MASS = 3.0  # nats, of the words: one further down holds less than a twentieth of the mass
_HARMLESS = 10.0  # of the mean weight: a thousandth of the sum, for 10 000 draws
SEPARATE = 2.0
"""Standard deviations between the means of optima that are not one."""

_NEXT = {
    "mean-field": "guide 'full-rank'",
    "low-rank": "guide 'full-rank'",
    "laplace": "guide 'full-rank'",
    "full-rank": "guide 'flow', or another parametrization, such as a non-centred scale or a logarithm",
}


@dataclass(frozen=True)
class Verdict:
    """A verdict in words.

    Attributes:
        verdict: what to do with the result.
        reasons: what was measured, one clause each.
        remedy: what to try; empty where nothing needs to be.
    """

    verdict: Literal["believe", "believe after resampling", "do not believe"]
    reasons: tuple[str, ...]
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.verdict}: {'; '.join(self.reasons)}"
        return worded(f"{text}. Try {self.remedy}." if self.remedy else f"{text}.", "Python")


def judge(
    *,
    guide: str,
    converged: bool,
    precision_nats: float,
    separate: tuple[tuple[float, float], ...],
    endless: tuple[float, ...],
    khat: float,
    threshold: float,
    largest: float,
    ess: float,
    num_draws: int,
    raw: PosteriorMoments,
    resampled: PosteriorMoments,
    squares: SquareTails,
    names: Sequence[str],
) -> Verdict:
    """The verdict on one fit.

    Arguments:
        guide: name of the family.
        converged: whether the stopping rule was met.
        precision_nats: of the stopping rule.
        separate: for each other start, how far its ELBO lies below the winner's, nats, and how far
            its mean from the winner's, standard deviations.
        endless: for each start that widened without end, how far its ELBO lay above the winner's, nats.
        khat: Pareto shape of the log-weights; NaN where it could not be fitted.
        threshold: above which weights are of no use.
        largest: the largest weight, in units of their mean.
        ess: effective sample size.
        num_draws: draws that were weighed.
        raw: moments of the guide's draws.
        resampled: moments of the weighted draws.
        squares: what their sds hang on.
        names: of the coordinates.
    """
    better = better_guide(guide)
    if not converged:
        return Verdict(
            DOUBT,
            (f"the ELBO may still rise by more than {precision_nats:g} nats",),
            "proper priors, another parametrization, or a larger precision in nats",
        )
    measured = _measured(khat, threshold, largest)
    effective = f"{ess:.0f} effective draws"
    if not reliable(khat, threshold, largest):
        return Verdict(DOUBT, (measured, effective), better)
    more = f"{option('num_draws', 4 * num_draws)}, or {better}"
    least = least_draws(num_draws)
    if ess < least:
        return Verdict(DOUBT, (f"{effective}, fewer than {least:.0f}", measured), more)
    error = largest_sd_error(resampled)
    if error > sd_error_allowed(num_draws):
        known = f"an sd is known to {100 * error:.0f} %, its standard error"
        return Verdict(DOUBT, (known, measured, effective), more)
    if found := hanging(squares, names):
        return Verdict(DOUBT, (found, measured, effective), more)
    above = sum(b > 0 for b in endless)
    if above:
        return Verdict(
            DOUBT,
            (f"{above} of the starts widened without end, to a higher ELBO",),
            "a proper prior for every parameter",
        )
    others = [b for b, far in separate if far > SEPARATE and _moves(b, far)]
    if others:
        mass = "of similar mass" if min(others) < _SIMILAR_MASS else "whose small mass is far away"
        return Verdict(
            DOUBT,
            (f"{len(others)} of {len(separate) + 1} starts ended in another optimum {mass}",),
            "constraints that order exchangeable parameters, or a guide with several modes",
        )
    mean, sd = _discrepancy(raw, resampled)
    found = f"the guide's means are within {mean:.2f} sd and its sds within {100 * sd:.0f} %"
    verdict = BELIEVE if mean <= _MEAN and sd <= _SD else RESAMPLE
    return Verdict(verdict, (measured, effective, f"{found} of the resampled ones"))


def better_guide(guide: str) -> str:
    """What to try where a family of guides does not suffice."""
    return _NEXT.get(guide, "another parametrization, such as a non-centred scale or a logarithm")


def reliable(khat: float, threshold: float, largest: float) -> bool:
    """Whether averages under the weights have the errors that they claim."""
    return khat <= threshold or (khat > threshold and largest <= _HARMLESS)


def least_draws(num_draws: int) -> float:
    """Effective draws, of so many, from which means may be believed."""
    return min(_LEAST_ESS, _LEAST_SHARE * num_draws)


def sd_error_allowed(num_draws: int) -> float:
    """Relative standard error of an sd, of so many draws, up to which sds may be believed."""
    return max(_SD_ERROR, 1 / math.sqrt(num_draws))


def hanging(squares: SquareTails, names: Sequence[str]) -> str:
    """That an sd is the largest draws' alone, in words; empty where none is.

    A Pareto tail of shape k holds 1 / (1 - k) times the share of the largest draw beyond that draw.
    """
    k = np.clip(squares.khat, 0.0, 1.0)
    missing = squares.share * k > _MISSED * (1 - k)
    khats = np.where(missing, squares.khat, -math.inf)
    if np.max(khats, initial=-math.inf) <= _SQUARES:
        return ""
    worst = int(np.argmax(khats))
    found = f"k-hat of the squares {khats[worst]:.2f}, above {_SQUARES}"
    return f"the sd of {names[worst]} hangs on its largest draws: {found}"


def _measured(khat: float, threshold: float, largest: float) -> str:
    """What was found about the weights, in the words of what decides whether they are reliable."""
    if math.isnan(khat):
        return "k-hat could not be fitted"
    if khat == -math.inf:
        return "the largest weights are equal"
    # As many digits as tell the two apart.
    digits = next((n for n in (2, 3, 4) if round(khat, n) != round(threshold, n)), 2)
    if khat <= threshold:
        word = "below" if khat < threshold else "at most"
        return f"k-hat {khat:.{digits}f}, {word} {threshold:.{digits}f}"
    if largest <= _HARMLESS:
        return f"no draw weighs more than {largest:.1f} times the mean"
    above = f"k-hat {khat:.{digits}f}, above {threshold:.{digits}f}"
    return f"{above}, and a draw of {largest:.0f} times the mean weight"


def _moves(behind: float, far: float) -> bool:
    """Whether an optimum so many nats behind and sds away would move the mean or the variance."""
    mass = math.exp(-max(behind, 0.0))
    return mass * far > _MOVED[0] or mass * far**2 > _MOVED[1]


def largest_sd_error(moments: PosteriorMoments) -> float:
    """Largest standard error of an sd over coordinates, relative."""
    moving = moments.sd > 0
    return float(np.max(moments.sd_error[moving] / moments.sd[moving], initial=0.0))


def _discrepancy(raw: PosteriorMoments, resampled: PosteriorMoments) -> tuple[float, float]:
    """Largest differences over coordinates: of means in sds, and of sds relative."""
    scale = np.where(resampled.sd > 0, resampled.sd, 1.0)
    moving = resampled.sd > 0
    mean = np.where(moving, np.abs(raw.mean - resampled.mean) / scale, 0.0)
    sd = np.where(moving, np.abs(raw.sd / scale - 1), 0.0)
    return float(mean.max()), float(sd.max())
