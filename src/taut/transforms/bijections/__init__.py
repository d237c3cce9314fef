"""Layers with an inverse, for vectors and elementwise."""

from taut.transforms.bijections.actnorm import ActNorm, started
from taut.transforms.bijections.affine import Affine
from taut.transforms.bijections.autoregressive import Autoregressive
from taut.transforms.bijections.context_vector import ContextVector, check_condition
from taut.transforms.bijections.coupling import Coupling, vector_coupling
from taut.transforms.bijections.flowjax_adapter import FlowJAXBijection
from taut.transforms.bijections.inverse import Inverse
from taut.transforms.bijections.invertible_linear import InvertibleLinear
from taut.transforms.bijections.logit import Logit
from taut.transforms.bijections.permute import Permute, reversal, reversed_riffle
from taut.transforms.bijections.planar import Planar
from taut.transforms.bijections.radial import Radial
from taut.transforms.bijections.reshape import Reshape
from taut.transforms.bijections.standardize import Standardize
from taut.transforms.bijections.sylvester import Sylvester
from taut.transforms.bijections.transformers import (
    AbstractTransformer,
    AffineTransformer,
    GatedTransformer,
    RealNVPTransformer,
    SplineTransformer,
)

__all__ = [
    "AbstractTransformer",
    "ActNorm",
    "Affine",
    "AffineTransformer",
    "Autoregressive",
    "ContextVector",
    "Coupling",
    "FlowJAXBijection",
    "GatedTransformer",
    "Inverse",
    "InvertibleLinear",
    "Logit",
    "Permute",
    "Planar",
    "Radial",
    "RealNVPTransformer",
    "Reshape",
    "SplineTransformer",
    "Standardize",
    "Sylvester",
    "check_condition",
    "reversal",
    "reversed_riffle",
    "started",
    "vector_coupling",
]
