"""What would have to change in a row for a classifier to answer otherwise, along a fitted model."""

from taut.counterfactuals.classifier import BlackBox, Differentiable
from taut.counterfactuals.diagnostics import Path, diagnose
from taut.counterfactuals.generator import AbstractGenerator
from taut.counterfactuals.geometry import (
    GEOMETRIES,
    AbstractGeometry,
    Adam,
    Momentum,
    Normalised,
    Plain,
    PullBack,
    Tangent,
    XSpace,
)
from taut.counterfactuals.result import Counterfactuals
from taut.counterfactuals.search import search
from taut.counterfactuals.targets import AbstractTarget, Below, Between, Class, Margin

__all__ = [
    "GEOMETRIES",
    "AbstractGenerator",
    "AbstractGeometry",
    "AbstractTarget",
    "Adam",
    "Below",
    "Between",
    "BlackBox",
    "Class",
    "Counterfactuals",
    "Differentiable",
    "Margin",
    "Momentum",
    "Normalised",
    "Path",
    "Plain",
    "PullBack",
    "Tangent",
    "XSpace",
    "diagnose",
    "search",
]
