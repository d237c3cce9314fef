"""How parameters are found: choices with claims, and the algorithms behind them."""

from taut.inference.abstract import AbstractInference, Claims
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.amortized.abstract import AbstractAmortized, Problem
from taut.inference.amortized.refined_annealed import RefinedAnnealed
from taut.inference.amortized.refined_importance import Refined
from taut.inference.amortized.refined_quadrature import RefinedQuadrature
from taut.inference.choices import (
    EM,
    CodebookAverages,
    Joint,
    OnlineEM,
    PerDatum,
    SemiAmortized,
    VariationalEM,
    WakeSleep,
)
from taut.inference.compiled_steps import compiled_steps
from taut.inference.departures import departures
from taut.inference.exact.abstract import AbstractExact
from taut.inference.registry import INFERENCES

__all__ = [
    "EM",
    "INFERENCES",
    "AbstractAmortized",
    "AbstractExact",
    "AbstractInference",
    "Algorithm",
    "Claims",
    "CodebookAverages",
    "Inspection",
    "Joint",
    "Metrics",
    "OnlineEM",
    "PerDatum",
    "Problem",
    "Refined",
    "RefinedAnnealed",
    "RefinedQuadrature",
    "SemiAmortized",
    "VariationalEM",
    "WakeSleep",
    "compiled_steps",
    "departures",
]
