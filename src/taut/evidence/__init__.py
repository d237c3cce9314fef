"""Estimates of log p(x), each an `Estimate` with its side and errors."""

from taut.evidence.abstract import AbstractMethod, Claims
from taut.evidence.agreement import beside_the_prior, doubted, missed
from taut.evidence.annealed import Annealed, sandwich
from taut.evidence.bidirectional import Bidirectional, calibrated
from taut.evidence.bracket import Bracket, Step
from taut.evidence.bridge import Bridge
from taut.evidence.defensive import DefensiveDraws, defensive_draws, defensive_log_prob
from taut.evidence.escalation import Escalation, EscalationInterrupted
from taut.evidence.expected_bound import expected_bound
from taut.evidence.few_runs import evidence_of_runs
from taut.evidence.importance import Evidence, importance_sampling, weigh
from taut.evidence.independent_columns import BASELINE_ROWS, independent_columns
from taut.evidence.known_latents import weigh_known
from taut.evidence.monte_carlo import naive_monte_carlo
from taut.evidence.options import EvidenceOptions
from taut.evidence.quasi_monte_carlo import QuasiMonteCarlo
from taut.evidence.registry import EVIDENCE, Importance, MonteCarlo
from taut.evidence.simulated import Simulated, simulated
from taut.evidence.smc import SMC, posterior_draws
from taut.evidence.weighted_moments import (
    PosteriorMoments,
    SquareTails,
    square_tails,
    weighted_moments,
)
from taut.evidence.weights import (
    LEAST_FOR_KHAT,
    RowWeights,
    khat_threshold,
    mean_and_error,
    smoothed_weights,
    summarize,
)

__all__ = [
    "BASELINE_ROWS",
    "EVIDENCE",
    "LEAST_FOR_KHAT",
    "SMC",
    "AbstractMethod",
    "Annealed",
    "Bidirectional",
    "Bracket",
    "Bridge",
    "Claims",
    "DefensiveDraws",
    "Escalation",
    "EscalationInterrupted",
    "Evidence",
    "EvidenceOptions",
    "Importance",
    "MonteCarlo",
    "PosteriorMoments",
    "QuasiMonteCarlo",
    "RowWeights",
    "Simulated",
    "SquareTails",
    "Step",
    "beside_the_prior",
    "calibrated",
    "defensive_draws",
    "defensive_log_prob",
    "doubted",
    "evidence_of_runs",
    "expected_bound",
    "importance_sampling",
    "independent_columns",
    "khat_threshold",
    "mean_and_error",
    "missed",
    "naive_monte_carlo",
    "posterior_draws",
    "sandwich",
    "simulated",
    "smoothed_weights",
    "square_tails",
    "summarize",
    "weigh",
    "weigh_known",
    "weighted_moments",
]
