"""EM: models whose posterior is in closed form."""

from taut.inference.exact.em import (
    EMResult,
    EMState,
    em,
    expectation_step,
    log_evidences,
    run_em,
)
from taut.inference.exact.given_start import check_start
from taut.inference.exact.held import Held, held_components
from taut.inference.exact.kmeans import kmeans_plus_plus
from taut.inference.exact.online_em import OnlineState, online_em, run_online_em
from taut.inference.exact.restarts import Floor, best_of_restarts
from taut.inference.exact.row_blocks import RowBlocks, Spread
from taut.inference.exact.starts import check_components, random_start

__all__ = [
    "EMResult",
    "EMState",
    "Floor",
    "Held",
    "OnlineState",
    "RowBlocks",
    "Spread",
    "best_of_restarts",
    "check_components",
    "check_start",
    "em",
    "expectation_step",
    "held_components",
    "kmeans_plus_plus",
    "log_evidences",
    "online_em",
    "random_start",
    "run_em",
    "run_online_em",
]
