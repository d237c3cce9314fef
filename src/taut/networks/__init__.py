"""The few encoders and decoders."""

from taut.networks.activations import ACTIVATIONS, activation
from taut.networks.mlp import MLP, Linear

__all__ = ["ACTIVATIONS", "MLP", "Linear", "activation"]
