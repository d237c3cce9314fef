"""What limits a fit: here, the gradient that it is trained by."""

from taut.audit.gradient_bench import GradientBench, GradientMeasure, gradient_bench
from taut.audit.gradient_moments import GradientMoments, gradient_moments

__all__ = [
    "GradientBench",
    "GradientMeasure",
    "GradientMoments",
    "gradient_bench",
    "gradient_moments",
]
