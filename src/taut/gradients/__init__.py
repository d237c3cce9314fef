"""Gradient estimators: one file, one paper each."""

from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.arm import ARM
from taut.gradients.baselines import AbstractBaseline, MovingAverage, NetworkBaseline
from taut.gradients.concrete import Concrete
from taut.gradients.disarm import DisARM
from taut.gradients.doubly_reparameterized import DoublyReparameterized
from taut.gradients.enumeration import Enumeration
from taut.gradients.evaluations import Evaluations
from taut.gradients.leave_one_out import LeaveOneOut
from taut.gradients.nvil import NVIL
from taut.gradients.rebar import REBAR
from taut.gradients.relax import RELAX
from taut.gradients.reparameterized import Reparameterized
from taut.gradients.score_function import ScoreFunction
from taut.gradients.sticking_the_landing import StickingTheLanding
from taut.gradients.straight_through import StraightThrough
from taut.gradients.temperature import Temperature
from taut.gradients.vimco import VIMCO

__all__ = [
    "ARM",
    "ESTIMATORS",
    "NVIL",
    "REBAR",
    "RELAX",
    "VIMCO",
    "AbstractBaseline",
    "AbstractEstimator",
    "Claim",
    "Concrete",
    "DisARM",
    "DoublyReparameterized",
    "Enumeration",
    "Evaluations",
    "LeaveOneOut",
    "MovingAverage",
    "NetworkBaseline",
    "Reparameterized",
    "ScoreFunction",
    "StickingTheLanding",
    "StraightThrough",
    "Surrogate",
    "Temperature",
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
        Concrete,
        StraightThrough,
        REBAR,
        RELAX,
        ARM,
        DisARM,
        Enumeration,
    )
}
