"""Estimates of log p(x), each an `Estimate` with its side and errors."""

from taut.evidence.expected_bound import expected_bound
from taut.evidence.importance import Evidence, importance_sampling, weigh
from taut.evidence.independent_columns import BASELINE_ROWS, independent_columns
from taut.evidence.monte_carlo import naive_monte_carlo
from taut.evidence.weights import RowWeights, khat_threshold, mean_and_error, summarize

__all__ = [
    "BASELINE_ROWS",
    "EVIDENCE",
    "Evidence",
    "RowWeights",
    "expected_bound",
    "importance_sampling",
    "independent_columns",
    "khat_threshold",
    "mean_and_error",
    "naive_monte_carlo",
    "summarize",
    "weigh",
]

EVIDENCE = {"importance": importance_sampling, "monte-carlo": naive_monte_carlo}
