"""Whether to believe draws of tempered SMC: a verdict on what independent runs agree about.

Any of these doubts them:

    the evidence is known worse than 0.1 nat, its standard error between runs
    fewer effective draws than a mean to 0.1 sd takes, or an sd of large error, as of the guide's
    an sd that hangs on its largest draws, as of the guide's: k-hat of the squares about a mean above a
        half, from where on they have no variance, so that runs that miss the same tail agree, and by
        it more than a fiftieth of the variance missing
    means that still move at b = 1: by the t-test of R runs at 5 % over all coordinates and log p
    chains that hardly move at b = 1, more than one in a hundred
    weights of a step of temperature whose k-hat is too large
    a run whose chains come from less than one in fifty of those that it started with

Agreement of runs is agreement on what the start reaches.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from taut.core import option
from taut.evidence import PosteriorMoments, SquareTails
from taut.inference.posterior.tempered_draws import RUNS, TemperedDraws
from taut.inference.posterior.verdict import (
    BELIEVE,
    DOUBT,
    Verdict,
    hanging,
    largest_sd_error,
    least_draws,
    reliable,
    sd_error_allowed,
)

__all__ = ["judge_tempered"]

_EVIDENCE = 0.1  # nats: what an evidence is asked to, where nothing else is said
_LEVEL = 0.05  # of the test of drift; a doubt leads to another round
_STUCK = 0.01  # share of the chains
_ANCESTORS = 0.02  # share of the chains of the start


def judge_tempered(
    draws: TemperedDraws,
    *,
    moments: PosteriorMoments,
    ess: float,
    evidence_error: float,
    squares: SquareTails,
    names: Sequence[str],
    threshold: float,
    remedy: str,
) -> Verdict:
    """The verdict.

    Arguments:
        draws: of all runs.
        moments: of the latents, with errors between runs.
        ess: effective draws.
        evidence_error: standard error of the log-evidence between runs, nats.
        squares: what the latents' sds hang on.
        names: of the latents.
        threshold: of k-hat.
        remedy: what to try where they are not to be believed.
    """
    count = len(draws.z)
    effective = f"{ess:.0f} effective draws"
    least = least_draws(count)
    sd_error = largest_sd_error(moments)
    most = float(stdtrit(RUNS - 1, 1 - _LEVEL / (2 * len(draws.drift))))
    drift = float(np.max(np.abs(draws.drift)))
    hangs = hanging(squares, names)
    doubts = {
        f"the log-evidences of {RUNS} runs leave an error of {evidence_error:.2f} nats": (
            not evidence_error <= _EVIDENCE
        ),
        f"{effective}, fewer than {least:.0f}": not ess >= least,
        f"an sd is known to {100 * sd_error:.0f} %, its standard error": (
            not sd_error <= sd_error_allowed(count)
        ),
        hangs: bool(hangs),
        f"the chains still move: a mean by {drift:.1f} standard errors": not drift <= most,
        f"{100 * draws.stuck:.1f} % of the chains hardly move": draws.stuck > _STUCK,
        f"a step of temperature with k-hat {draws.khat:.2f}, above {threshold:.2f}": (
            not reliable(draws.khat, threshold, draws.largest)
        ),
        f"one run comes from {100 * draws.ancestors:.1f} % of its start": (
            draws.ancestors < _ANCESTORS
        ),
    }
    found = tuple(words for words, holds in doubts.items() if holds)
    if found:
        more = option("num_draws", 4 * count)
        return Verdict(DOUBT, (f"tempered SMC does not settle it: {found[0]}", *found[1:]),
                       f"{more}, or {remedy}" if remedy else more)  # fmt: skip
    mean_error = 1 / math.sqrt(ess)
    agreed = (
        f"{RUNS} runs of tempered SMC agree: the log-evidence is known to {evidence_error:.2g} nats, "
        f"means to {mean_error:.2g} sd and sds to {100 * sd_error:.1g} %, standard errors"
    )
    return Verdict(BELIEVE, (agreed, effective))
