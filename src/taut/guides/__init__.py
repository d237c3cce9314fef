"""Guides q(z | x)."""

from taut.guides.abstract import AbstractFamily
from taut.guides.amortized import AmortizedGuide
from taut.guides.full_rank import FullRankGaussian
from taut.guides.mean_field import MeanFieldGaussian
from taut.guides.prior_guide import PriorGuide

__all__ = [
    "FAMILIES",
    "AbstractFamily",
    "AmortizedGuide",
    "FullRankGaussian",
    "MeanFieldGaussian",
    "PriorGuide",
]

FAMILIES: dict[str, type[AbstractFamily]] = {
    f.name: f for f in (MeanFieldGaussian, FullRankGaussian)
}
