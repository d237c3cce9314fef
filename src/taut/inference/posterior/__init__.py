"""Everything that `taut.infer` climbs with: guides for the posterior of one program."""

from taut.inference.posterior.averaged_sgd import STRETCH, climb_in_stretches
from taut.inference.posterior.drawable import AbstractDrawable
from taut.inference.posterior.flow_draws import FlowDraws
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.gaussian_ascent import GaussianAscent
from taut.inference.posterior.laplace import Laplace, laplace
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank_ascent import LowRankAscent
from taut.inference.posterior.low_rank_climb import LowRank
from taut.inference.posterior.multi_start import Start, Starts, best_start
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.pathfinder import pathfinder
from taut.inference.posterior.sample_average import (
    AbstractAscent,
    Ascended,
    Ascent,
    Round,
    sample_average,
)
from taut.inference.posterior.stochastic_vi import MinibatchState, minibatch
from taut.inference.posterior.svrg import Anchored
from taut.inference.posterior.whitened import Whitened

__all__ = [
    "STRETCH",
    "AbstractAscent",
    "AbstractDrawable",
    "Anchored",
    "Ascended",
    "Ascent",
    "FlowDraws",
    "Gaussian",
    "GaussianAscent",
    "Laplace",
    "LogDensity",
    "LowRank",
    "LowRankAscent",
    "MinibatchState",
    "PosteriorOptions",
    "Round",
    "Start",
    "Starts",
    "Whitened",
    "best_start",
    "climb_in_stretches",
    "laplace",
    "minibatch",
    "pathfinder",
    "sample_average",
]
