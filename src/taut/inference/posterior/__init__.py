"""The posterior of one program, fitted as `taut.infer` does: guides, optimizers, starts, verdict."""

from taut.core.optimum import Optimum
from taut.inference.posterior.averaged_sgd import STAGE_STEPS, averaged_sgd
from taut.inference.posterior.candidate import Candidate, fit_guide
from taut.inference.posterior.family import AbstractFamily
from taut.inference.posterior.flow_family import FlowFamily
from taut.inference.posterior.gaussian import Gaussian
from taut.inference.posterior.gaussian_family import GaussianFamily
from taut.inference.posterior.guide_choice import GUIDES, GuideChoice, choose_guide
from taut.inference.posterior.guide_fit import GuideFit, Round
from taut.inference.posterior.laplace import LaplaceApproximation, laplace
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.low_rank import LowRank
from taut.inference.posterior.low_rank_family import LowRankFamily
from taut.inference.posterior.multi_start import MultiStart, Start, multi_start
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.pathfinder import pathfinder
from taut.inference.posterior.posterior_fit import PosteriorFit, fit_posterior
from taut.inference.posterior.sample_average import (
    AbstractSampleAverageFamily,
    sample_average_approximation,
)
from taut.inference.posterior.settled_options import settled_options
from taut.inference.posterior.stochastic_vi import StochasticVIState, stochastic_vi
from taut.inference.posterior.svrg import SVRG
from taut.inference.posterior.whitened import Whitened

__all__ = [
    "GUIDES",
    "STAGE_STEPS",
    "SVRG",
    "AbstractFamily",
    "AbstractSampleAverageFamily",
    "Candidate",
    "FlowFamily",
    "Gaussian",
    "GaussianFamily",
    "GuideChoice",
    "GuideFit",
    "LaplaceApproximation",
    "LogDensity",
    "LowRank",
    "LowRankFamily",
    "MultiStart",
    "Optimum",
    "PosteriorFit",
    "PosteriorOptions",
    "Round",
    "Start",
    "StochasticVIState",
    "Whitened",
    "averaged_sgd",
    "choose_guide",
    "fit_guide",
    "fit_posterior",
    "laplace",
    "multi_start",
    "pathfinder",
    "sample_average_approximation",
    "settled_options",
    "stochastic_vi",
]
