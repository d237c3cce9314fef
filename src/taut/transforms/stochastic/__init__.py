"""Layers both of whose directions draw."""

from taut.transforms.stochastic.stochastic_permutation import StochasticPermutation
from taut.transforms.stochastic.vae_layer import VAELayer

__all__ = ["StochasticPermutation", "VAELayer"]
