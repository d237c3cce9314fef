"""Inference algorithms: each a pair of pure functions over a state of arrays."""

from taut.inference.aggressive import Aggressive
from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.alternation import AbstractAlternation, Alternate
from taut.inference.anchored import Anchored
from taut.inference.averaged import AveragedState, averaged
from taut.inference.batch_surrogate import BatchSurrogate, batch_surrogate
from taut.inference.drawable import AbstractDrawable
from taut.inference.em import (
    EMResult,
    EMState,
    check_start,
    em,
    expectation_step,
    log_evidences,
    run_em,
)
from taut.inference.flow_draws import FlowDraws
from taut.inference.gaussian import Gaussian
from taut.inference.gaussian_ascent import GaussianAscent
from taut.inference.joint import JointState, joint
from taut.inference.laplace import Laplace, laplace
from taut.inference.log_density import LogDensity
from taut.inference.low_rank_ascent import LowRankAscent
from taut.inference.low_rank_climb import LowRank
from taut.inference.minibatch import MinibatchState, minibatch
from taut.inference.multi_start import Start, Starts, best_start
from taut.inference.online_em import OnlineState, online_em, run_online_em
from taut.inference.pathfinder import pathfinder
from taut.inference.per_datum import PerDatumState, per_datum
from taut.inference.restarts import Floor, best_of_restarts
from taut.inference.row_blocks import Rows, Spread
from taut.inference.sample_average import AbstractAscent, Ascended, Ascent, Round, sample_average
from taut.inference.semi_amortized import SemiAmortizedState, semi_amortized
from taut.inference.slots import Reach, reach
from taut.inference.starts import check_components, kmeans_plus_plus, random_start
from taut.inference.stretches import STRETCH, climb_in_stretches
from taut.inference.variational_em import VariationalEMState, variational_em
from taut.inference.vq import QuantizedState, quantized
from taut.inference.wake_sleep import WakeSleepState, wake_sleep
from taut.inference.whitened import Whitened

__all__ = [
    "STRETCH",
    "AbstractAlternation",
    "AbstractAscent",
    "AbstractDrawable",
    "Aggressive",
    "Algorithm",
    "Alternate",
    "Anchored",
    "Ascended",
    "Ascent",
    "AveragedState",
    "BatchSurrogate",
    "EMResult",
    "EMState",
    "Floor",
    "FlowDraws",
    "Gaussian",
    "GaussianAscent",
    "Inspection",
    "JointState",
    "Laplace",
    "LogDensity",
    "LowRank",
    "LowRankAscent",
    "Metrics",
    "MinibatchState",
    "OnlineState",
    "PerDatumState",
    "QuantizedState",
    "Reach",
    "Round",
    "Rows",
    "SemiAmortizedState",
    "Spread",
    "Start",
    "Starts",
    "VariationalEMState",
    "WakeSleepState",
    "Whitened",
    "averaged",
    "batch_surrogate",
    "best_of_restarts",
    "best_start",
    "check_components",
    "check_start",
    "climb_in_stretches",
    "em",
    "expectation_step",
    "joint",
    "kmeans_plus_plus",
    "laplace",
    "log_evidences",
    "minibatch",
    "online_em",
    "pathfinder",
    "per_datum",
    "quantized",
    "random_start",
    "reach",
    "run_em",
    "run_online_em",
    "sample_average",
    "semi_amortized",
    "variational_em",
    "wake_sleep",
]
