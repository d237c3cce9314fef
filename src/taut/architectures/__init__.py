"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.discrete import Discrete
from taut.architectures.factor import FA, PPCA
from taut.architectures.flow import Flow
from taut.architectures.functions import Functions
from taut.architectures.ladder import Ladder
from taut.architectures.mixture import GMM, LCA
from taut.architectures.mixture_vae import MixtureVAE
from taut.architectures.row_programs import RowPrograms
from taut.architectures.vae import VAE
from taut.architectures.vq import VQ

__all__ = [
    "ARCHITECTURES",
    "FA",
    "GMM",
    "LCA",
    "PPCA",
    "RENAMED",
    "VAE",
    "VQ",
    "AbstractArchitecture",
    "Discrete",
    "Flow",
    "Functions",
    "Ladder",
    "MixtureVAE",
    "RowPrograms",
]

ARCHITECTURES: dict[str, type[AbstractArchitecture]] = {
    a.name: a for a in (VAE, Flow, Ladder, Discrete, MixtureVAE, VQ, GMM, LCA, PPCA, FA)
}

RENAMED = {"mixed": "mixture-vae"}  # names in older run folders, and what stands for them
