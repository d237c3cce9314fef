"""Guides q(z | x)."""

from taut.guides.abstract import AbstractFamily, FeatureGuide
from taut.guides.amortized import AmortizedGuide
from taut.guides.at_features import AtFeatures
from taut.guides.chain_guide import ChainGuide, ChainPair
from taut.guides.choice import FAMILIES, PLAIN, check_family, make_family
from taut.guides.discrete import FactorizedUnits, LayeredGuide
from taut.guides.encoded import EncodedGuide
from taut.guides.exact_posterior import ExactPair, ExactPosterior
from taut.guides.exponential import ExponentialGuide
from taut.guides.flow import FlowFamily, FlowPosterior, flow_widths
from taut.guides.full_rank import FullRankGaussian
from taut.guides.linear import LinearEncoder, best_linear_guide, linear_guide
from taut.guides.low_rank import LowRankGaussian
from taut.guides.marking import filled, marked_shape
from taut.guides.mean_field import MeanFieldGaussian
from taut.guides.outcomes import EveryOutcome, every_outcome
from taut.guides.per_datum import PerDatumGuide
from taut.guides.prior_guide import PriorGuide
from taut.guides.quantized import NearestCodes, QuantizedPair, QuantizedProposal, nearest_codes
from taut.guides.refined import RefinedGuide, RefinedPair, Refinement
from taut.guides.stratified import StratifiedGaussian
from taut.guides.structured import StructuredGuide, StructuredProposal
from taut.guides.tailed_gaussian import TailedGaussian, TailedProposal
from taut.guides.vamp import VampPair

__all__ = [
    "FAMILIES",
    "PLAIN",
    "AbstractFamily",
    "AmortizedGuide",
    "AtFeatures",
    "ChainGuide",
    "ChainPair",
    "EncodedGuide",
    "EveryOutcome",
    "ExactPair",
    "ExactPosterior",
    "ExponentialGuide",
    "FactorizedUnits",
    "FeatureGuide",
    "FlowFamily",
    "FlowPosterior",
    "FullRankGaussian",
    "LayeredGuide",
    "LinearEncoder",
    "LowRankGaussian",
    "MeanFieldGaussian",
    "NearestCodes",
    "PerDatumGuide",
    "PriorGuide",
    "QuantizedPair",
    "QuantizedProposal",
    "RefinedGuide",
    "RefinedPair",
    "Refinement",
    "StratifiedGaussian",
    "StructuredGuide",
    "StructuredProposal",
    "TailedGaussian",
    "TailedProposal",
    "VampPair",
    "best_linear_guide",
    "check_family",
    "every_outcome",
    "filled",
    "flow_widths",
    "linear_guide",
    "make_family",
    "marked_shape",
    "nearest_codes",
]
