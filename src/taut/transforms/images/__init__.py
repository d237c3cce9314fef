"""Bijections of images, channels last."""

from taut.transforms.images.conv_conditioner import ConvConditioner
from taut.transforms.images.conv_coupling import conv_coupling
from taut.transforms.images.invertible_conv import InvertibleConv
from taut.transforms.images.multi_scale import MultiScale
from taut.transforms.images.squeeze import Squeeze

__all__ = ["ConvConditioner", "InvertibleConv", "MultiScale", "Squeeze", "conv_coupling"]
