"""SurVAE layers: bijective, surjective and stochastic links between data and latents."""

from taut.transforms.abstract import AbstractBijection, AbstractLayer, Cost, Encoded, Fibre
from taut.transforms.bijections import (
    AbstractTransformer,
    ActNorm,
    Affine,
    AffineTransformer,
    Autoregressive,
    Coupling,
    FlowJAXBijection,
    GatedTransformer,
    Inverse,
    InvertibleLinear,
    Logit,
    Permute,
    Planar,
    Radial,
    RealNVPTransformer,
    Reshape,
    SplineTransformer,
    Standardize,
    Sylvester,
    started,
    vector_coupling,
)
from taut.transforms.chain import Chain
from taut.transforms.chain_proposal import MOST_PATHS, ChainProposal
from taut.transforms.conditional import ConditionalNormal
from taut.transforms.images import InvertibleConv, MultiScale, Squeeze, conv_coupling
from taut.transforms.spec import (
    LAYER_NAMES,
    SPEC_NAMES,
    Direction,
    LayerOptions,
    Rows,
    check_layers,
    first_layer,
    make_chain,
    make_layers,
)
from taut.transforms.stochastic import StochasticPermutation, VAELayer
from taut.transforms.surjections import (
    AbsoluteValue,
    Augmentation,
    ColumnDequantization,
    ConditionalLogitNormal,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    MaxPooling,
    Rounding,
    Slicing,
    Sorting,
)
from taut.transforms.transformed import Transformed

__all__ = [
    "LAYERS",
    "LAYER_NAMES",
    "MOST_PATHS",
    "SPEC_NAMES",
    "AbsoluteValue",
    "AbstractBijection",
    "AbstractLayer",
    "AbstractTransformer",
    "ActNorm",
    "Affine",
    "AffineTransformer",
    "Augmentation",
    "Autoregressive",
    "Chain",
    "ChainProposal",
    "ColumnDequantization",
    "ConditionalLogitNormal",
    "ConditionalNormal",
    "Cost",
    "Coupling",
    "Dequantization",
    "Direction",
    "Encoded",
    "Fibre",
    "FlowJAXBijection",
    "GatedTransformer",
    "GenerativeAbsoluteValue",
    "GenerativeSorting",
    "Inverse",
    "InvertibleConv",
    "InvertibleLinear",
    "LayerOptions",
    "Logit",
    "MaxPooling",
    "MultiScale",
    "Permute",
    "Planar",
    "Radial",
    "RealNVPTransformer",
    "Reshape",
    "Rounding",
    "Rows",
    "Slicing",
    "Sorting",
    "SplineTransformer",
    "Squeeze",
    "Standardize",
    "StochasticPermutation",
    "Sylvester",
    "Transformed",
    "VAELayer",
    "check_layers",
    "conv_coupling",
    "first_layer",
    "make_chain",
    "make_layers",
    "started",
    "vector_coupling",
]

LAYERS: dict[str, type[AbstractLayer]] = {
    layer.name: layer
    for layer in map(globals().get, __all__)
    if isinstance(layer, type) and issubclass(layer, AbstractLayer) and "name" in vars(layer)
}
