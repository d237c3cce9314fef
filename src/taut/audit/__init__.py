"""What limits a fit: where its bound loses nats, how its guide misses posteriors, its gradient."""

from taut.audit.audit import Audit, audit_fit
from taut.audit.calibration import Calibration, Quantity, calibration
from taut.audit.constants import density_excess
from taut.audit.findings import Finding, Trial, findings
from taut.audit.gaps import Gaps, audited_evidence, gaps
from taut.audit.gradient_bench import GradientBench, GradientMeasure, gradient_bench
from taut.audit.gradient_moments import GradientMoments, gradient_moments
from taut.audit.holes import Holes, holes
from taut.audit.latents import LatentUse, latent_use
from taut.audit.overlap import Neighbour, Overlap, overlap
from taut.audit.refit_bracket import RefitBracket, bracket_by_refits
from taut.audit.refits import calibration_by_refits
from taut.audit.remedies import Choices, other_priors
from taut.audit.surgery import Surgery, surgery
from taut.audit.two_sample import TwoSample, two_sample

__all__ = [
    "Audit",
    "Calibration",
    "Choices",
    "Finding",
    "Gaps",
    "GradientBench",
    "GradientMeasure",
    "GradientMoments",
    "Holes",
    "LatentUse",
    "Neighbour",
    "Overlap",
    "Quantity",
    "RefitBracket",
    "Surgery",
    "Trial",
    "TwoSample",
    "audit_fit",
    "audited_evidence",
    "bracket_by_refits",
    "calibration",
    "calibration_by_refits",
    "density_excess",
    "findings",
    "gaps",
    "gradient_bench",
    "gradient_moments",
    "holes",
    "latent_use",
    "other_priors",
    "overlap",
    "surgery",
    "two_sample",
]
