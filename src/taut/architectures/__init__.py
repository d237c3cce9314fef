"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.discrete import Discrete
from taut.architectures.factor import FA, PPCA
from taut.architectures.flow import Flow
from taut.architectures.ladder import Ladder
from taut.architectures.mixed import Mixed
from taut.architectures.mixture import GMM, LCA
from taut.architectures.vae import VAE
from taut.architectures.vq import VQ

__all__ = [
    "ARCHITECTURES",
    "FA",
    "GMM",
    "LCA",
    "PPCA",
    "VAE",
    "VQ",
    "AbstractArchitecture",
    "Discrete",
    "Flow",
    "Ladder",
    "Mixed",
]

ARCHITECTURES: dict[str, type[AbstractArchitecture]] = {
    a.name: a for a in (VAE, Flow, Ladder, Discrete, Mixed, VQ, GMM, LCA, PPCA, FA)
}
