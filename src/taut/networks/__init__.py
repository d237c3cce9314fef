"""The few encoders and decoders."""

from taut.networks.activations import ACTIVATIONS, activation
from taut.networks.convolution import Convolution, ResidualBlock
from taut.networks.gated_mlp import GatedMLP
from taut.networks.mlp import MLP, Linear
from taut.networks.registry import NETWORKS, AbstractNetwork, last_layer
from taut.networks.residual_conv import ResidualConvDecoder, ResidualConvEncoder
from taut.networks.torch_module import TorchFunction, from_torch, jax_function

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "NETWORKS",
    "AbstractNetwork",
    "Convolution",
    "GatedMLP",
    "Linear",
    "ResidualBlock",
    "ResidualConvDecoder",
    "ResidualConvEncoder",
    "TorchFunction",
    "activation",
    "from_torch",
    "jax_function",
    "last_layer",
]
