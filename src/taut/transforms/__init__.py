"""SurVAE layers: bijective, surjective and stochastic links between data and latents."""

from taut.transforms.abstract import AbstractBijection, AbstractLayer, Cost, Encoded, Fibre
from taut.transforms.chain import Chain
from taut.transforms.chain_proposal import MOST_PATHS, ChainProposal
from taut.transforms.transformed import Transformed

__all__ = [
    "LAYERS",
    "MOST_PATHS",
    "AbstractBijection",
    "AbstractLayer",
    "Chain",
    "ChainProposal",
    "Cost",
    "Encoded",
    "Fibre",
    "Transformed",
]

LAYERS: dict[str, type[AbstractLayer]] = {layer.name: layer for layer in ()}
