"""Layers of which one direction is a function and the other draws from its fibre."""

from taut.transforms.surjections.absolute_value import AbsoluteValue, GenerativeAbsoluteValue
from taut.transforms.surjections.augmentation import Augmentation
from taut.transforms.surjections.column_dequantization import ColumnDequantization
from taut.transforms.surjections.logit_normal import ConditionalLogitNormal, LogitNormal
from taut.transforms.surjections.max_pooling import MaxPooling
from taut.transforms.surjections.rounding import Dequantization, Rounding
from taut.transforms.surjections.slicing import Slicing
from taut.transforms.surjections.sorting import GenerativeSorting, Sorting

__all__ = [
    "AbsoluteValue",
    "Augmentation",
    "ColumnDequantization",
    "ConditionalLogitNormal",
    "Dequantization",
    "GenerativeAbsoluteValue",
    "GenerativeSorting",
    "LogitNormal",
    "MaxPooling",
    "Rounding",
    "Slicing",
    "Sorting",
]
