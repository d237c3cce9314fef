"""What limits a fit: where its bound loses nats, and the gradient that it is trained by."""

from taut.audit.gradient_bench import GradientBench, GradientMeasure, gradient_bench
from taut.audit.gradient_moments import GradientMoments, gradient_moments
from taut.audit.surgery import Surgery, surgery

__all__ = [
    "GradientBench",
    "GradientMeasure",
    "GradientMoments",
    "Surgery",
    "gradient_bench",
    "gradient_moments",
    "surgery",
]
