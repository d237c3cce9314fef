"""What few independent runs say together: their mean, and an error that allows for how few they are.

    p(x) ~ mean_r Z_r,      error = (t / 1.96) sd(Z) / (sqrt(R) mean Z),      t = t_{R - 1, 97.5 %}

The sd of R runs is itself known to 1 / sqrt(2 (R - 1)), and mean over error is Student's t: of 16 runs,
+- 1.96 errors without t / 1.96 would hold the truth in 93.1 % of cases, and hold it in 95 % with it.

Sources: Student, The probable error of a mean (1908); L'Ecuyer, Nakayama, Owen and Tuffin, Confidence
intervals for randomized quasi-Monte Carlo estimators (2023), by whom no bootstrap does better.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri, stdtrit

from taut.evidence.weights import RowWeights, summarize

__all__ = ["evidence_of_runs", "widening"]


def widening(runs: int) -> float:
    """Student's t over the normal quantile of a 95 % interval, for a spread found from R runs."""
    return float(stdtrit(runs - 1, 0.975) / ndtri(0.975))


def evidence_of_runs(log_evidence: Float[np.ndarray, "N R"]) -> RowWeights:
    """The log of the mean of R independent estimates of each of N rows, with a widened error.

    Arguments:
        log_evidence: of each run, unbiased for p(x), nats, (N, R).
    """
    found = summarize(log_evidence)
    return found._replace(error=found.error * widening(log_evidence.shape[1]))
