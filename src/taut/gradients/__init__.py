"""Gradient estimators: one file, one paper each."""

from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.baselines import AbstractBaseline, MovingAverage, NetworkBaseline
from taut.gradients.doubly_reparameterized import DoublyReparameterized
from taut.gradients.evaluations import Evaluations
from taut.gradients.leave_one_out import LeaveOneOut
from taut.gradients.nvil import NVIL
from taut.gradients.reparameterized import Reparameterized
from taut.gradients.score_function import ScoreFunction
from taut.gradients.sticking_the_landing import StickingTheLanding
from taut.gradients.vimco import VIMCO

__all__ = [
    "ESTIMATORS",
    "NVIL",
    "VIMCO",
    "AbstractBaseline",
    "AbstractEstimator",
    "Claim",
    "DoublyReparameterized",
    "Evaluations",
    "LeaveOneOut",
    "MovingAverage",
    "NetworkBaseline",
    "Reparameterized",
    "ScoreFunction",
    "StickingTheLanding",
    "Surrogate",
]

ESTIMATORS: dict[str, type[AbstractEstimator]] = {
    estimator.name: estimator
    for estimator in (
        Reparameterized,
        StickingTheLanding,
        DoublyReparameterized,
        ScoreFunction,
        NVIL,
        LeaveOneOut,
        VIMCO,
    )
}
