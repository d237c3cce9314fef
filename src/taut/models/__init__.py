"""Models p(x, z): priors, likelihoods, and what joins them."""

from taut.models.chain_model import ChainModel
from taut.models.column_forms import ColumnForm, ColumnReader, column_forms
from taut.models.decoded import DecodedModel
from taut.models.exact import (
    AbstractExactModel,
    AbstractFactorModel,
    ColumnMixture,
    FactorAnalysis,
    GaussianMixture,
    LatentClass,
    ProbabilisticPCA,
)
from taut.models.exponential_normal import ExponentialNormal, joint_optimum
from taut.models.latent_decoder import LatentDecoder
from taut.models.latent_variable import LatentVariableModel
from taut.models.left_out import LeftOut
from taut.models.likelihoods import (
    LIKELIHOODS,
    AbstractLikelihood,
    choose_likelihood,
    make_likelihood,
)
from taut.models.priors import (
    PRIORS,
    AbstractPrior,
    CodebookPrior,
    FactorizedPrior,
    FixedPrior,
    FlowPrior,
    LayeredPrior,
    MixtureOfGaussians,
    ProductPrior,
    StandardNormal,
    VampPrior,
    check_prior,
    make_prior,
)
from taut.models.self_masking import SelfMasking, check_maskable
from taut.models.stochastic_layer import ConditionalLayer, StochasticLayer
from taut.models.units import LogCounts, Units

__all__ = [
    "LIKELIHOODS",
    "PRIORS",
    "AbstractExactModel",
    "AbstractFactorModel",
    "AbstractLikelihood",
    "AbstractPrior",
    "ChainModel",
    "CodebookPrior",
    "ColumnForm",
    "ColumnMixture",
    "ColumnReader",
    "ConditionalLayer",
    "DecodedModel",
    "ExponentialNormal",
    "FactorAnalysis",
    "FactorizedPrior",
    "FixedPrior",
    "FlowPrior",
    "GaussianMixture",
    "LatentClass",
    "LatentDecoder",
    "LatentVariableModel",
    "LayeredPrior",
    "LeftOut",
    "LogCounts",
    "MixtureOfGaussians",
    "ProbabilisticPCA",
    "ProductPrior",
    "SelfMasking",
    "StandardNormal",
    "StochasticLayer",
    "Units",
    "VampPrior",
    "check_maskable",
    "check_prior",
    "choose_likelihood",
    "column_forms",
    "joint_optimum",
    "make_likelihood",
    "make_prior",
]
