"""SurVAE layers: bijective, surjective and stochastic links between data and latents."""

from taut.transforms.abstract import AbstractBijection, AbstractLayer, Cost, Encoded, Fibre
from taut.transforms.bijections import (
    ActNorm,
    Affine,
    AffineAutoregressive,
    AffineCoupling,
    FlowJAXBijection,
    Inverse,
    InverseAutoregressive,
    InvertibleLinear,
    Logit,
    Permute,
    Planar,
    Radial,
    Reshape,
    SplineAutoregressive,
    SplineCoupling,
    Standardize,
    Sylvester,
    started,
)
from taut.transforms.chain import Chain
from taut.transforms.chain_proposal import MOST_PATHS, ChainProposal
from taut.transforms.spec import SPEC_NAMES, Direction, check_layers, make_layers
from taut.transforms.transformed import Transformed

__all__ = [
    "LAYERS",
    "MOST_PATHS",
    "SPEC_NAMES",
    "AbstractBijection",
    "AbstractLayer",
    "ActNorm",
    "Affine",
    "AffineAutoregressive",
    "AffineCoupling",
    "Chain",
    "ChainProposal",
    "Cost",
    "Direction",
    "Encoded",
    "Fibre",
    "FlowJAXBijection",
    "Inverse",
    "InverseAutoregressive",
    "InvertibleLinear",
    "Logit",
    "Permute",
    "Planar",
    "Radial",
    "Reshape",
    "SplineAutoregressive",
    "SplineCoupling",
    "Standardize",
    "Sylvester",
    "Transformed",
    "check_layers",
    "make_layers",
    "started",
]

LAYERS: dict[str, type[AbstractLayer]] = {
    layer.name: layer
    for layer in (
        ActNorm,
        Affine,
        AffineAutoregressive,
        AffineCoupling,
        FlowJAXBijection,
        Inverse,
        InverseAutoregressive,
        InvertibleLinear,
        Logit,
        Permute,
        Planar,
        Radial,
        Reshape,
        SplineAutoregressive,
        SplineCoupling,
        Standardize,
        Sylvester,
    )
}
