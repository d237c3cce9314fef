"""What would have to change in a row for a classifier to answer otherwise, along a fitted model."""

from taut.counterfactuals.baselines import Answers, growing_spheres, nearest_unlike
from taut.counterfactuals.classifier import BlackBox, Differentiable
from taut.counterfactuals.constraints import Constraints
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
from taut.counterfactuals.metrics import Mean, Metrics, metrics
from taut.counterfactuals.result import Counterfactuals
from taut.counterfactuals.search import search
from taut.counterfactuals.targets import AbstractTarget, Below, Between, Class, Margin

__all__ = [
    "GEOMETRIES",
    "AbstractGenerator",
    "AbstractGeometry",
    "AbstractTarget",
    "Adam",
    "Answers",
    "Below",
    "Between",
    "BlackBox",
    "Class",
    "Constraints",
    "Counterfactuals",
    "Differentiable",
    "Margin",
    "Mean",
    "Metrics",
    "Momentum",
    "Normalised",
    "Path",
    "Plain",
    "PullBack",
    "Tangent",
    "XSpace",
    "diagnose",
    "growing_spheres",
    "metrics",
    "nearest_unlike",
    "search",
]
