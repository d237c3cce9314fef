"""Leaf distributions that NumPyro lacks, and the divergence between two distributions."""

from taut.distributions.accurate import accurate
from taut.distributions.continuous_bernoulli import ContinuousBernoulli
from taut.distributions.discretized_logistic import DiscretizedLogistic, grid
from taut.distributions.entropy import entropy_of
from taut.distributions.inverse_cdf import InverseCDF
from taut.distributions.kl import closed_kl, kl, kl_per_dimension
from taut.distributions.proposal_kl import proposal_kl

__all__ = [
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "InverseCDF",
    "accurate",
    "closed_kl",
    "entropy_of",
    "grid",
    "kl",
    "kl_per_dimension",
    "proposal_kl",
]
