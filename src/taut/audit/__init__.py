"""What limits a fit: where its bound loses nats, and the gradient that it is trained by."""

from taut.audit.gaps import Gaps, audited_evidence, gaps
from taut.audit.gradient_bench import GradientBench, GradientMeasure, gradient_bench
from taut.audit.gradient_moments import GradientMoments, gradient_moments
from taut.audit.surgery import Surgery, surgery

__all__ = [
    "Gaps",
    "GradientBench",
    "GradientMeasure",
    "GradientMoments",
    "Surgery",
    "audited_evidence",
    "gaps",
    "gradient_bench",
    "gradient_moments",
    "surgery",
]
