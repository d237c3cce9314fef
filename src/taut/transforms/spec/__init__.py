"""Layers from a line of text: `check_layers` reads it, `make_layers` and `make_chain` make them."""

from taut.transforms.spec.data_chain import first_layer, make_chain
from taut.transforms.spec.entry import Direction, LayerOptions, Rows
from taut.transforms.spec.line import LAYER_NAMES, SPEC_NAMES, check_layers
from taut.transforms.spec.vector_chain import make_layers

__all__ = [
    "LAYER_NAMES",
    "SPEC_NAMES",
    "Direction",
    "LayerOptions",
    "Rows",
    "check_layers",
    "first_layer",
    "make_chain",
    "make_layers",
]
