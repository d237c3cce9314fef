"""Inference algorithms: each a pair of pure functions over a state of arrays."""

from taut.inference.aggressive import Aggressive
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.alternation import AbstractAlternation, Alternate
from taut.inference.averaged import AveragedState, averaged
from taut.inference.em import (
    EMResult,
    EMState,
    check_start,
    em,
    expectation_step,
    log_evidences,
    run_em,
)
from taut.inference.joint import JointState, joint
from taut.inference.online_em import OnlineState, online_em, run_online_em
from taut.inference.per_datum import PerDatumState, per_datum
from taut.inference.restarts import Floor, best_of_restarts
from taut.inference.row_blocks import Rows, Spread
from taut.inference.semi_amortized import SemiAmortizedState, semi_amortized
from taut.inference.starts import check_components, kmeans_plus_plus, random_start
from taut.inference.variational_em import VariationalEMState, variational_em

__all__ = [
    "AbstractAlternation",
    "Aggressive",
    "Algorithm",
    "Alternate",
    "AveragedState",
    "EMResult",
    "EMState",
    "Floor",
    "Inspection",
    "JointState",
    "Metrics",
    "OnlineState",
    "PerDatumState",
    "Rows",
    "SemiAmortizedState",
    "Spread",
    "VariationalEMState",
    "averaged",
    "best_of_restarts",
    "check_components",
    "check_start",
    "em",
    "expectation_step",
    "joint",
    "kmeans_plus_plus",
    "log_evidences",
    "online_em",
    "per_datum",
    "random_start",
    "run_em",
    "run_online_em",
    "semi_amortized",
    "variational_em",
]
