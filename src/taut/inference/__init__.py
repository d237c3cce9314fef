"""Inference algorithms: each a pair of pure functions over a state of arrays."""

from taut.inference.algorithm import Algorithm, Inspection, Metrics
from taut.inference.compiled_steps import compiled_steps

__all__ = [
    "Algorithm",
    "Inspection",
    "Metrics",
    "compiled_steps",
]
