"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.factor import FA, PPCA
from taut.architectures.mixture import GMM, LCA
from taut.architectures.vae import VAE

__all__ = ["ARCHITECTURES", "FA", "GMM", "LCA", "PPCA", "VAE", "AbstractArchitecture"]

_Any = type[VAE] | type[GMM] | type[LCA] | type[PPCA] | type[FA]

ARCHITECTURES: dict[str, _Any] = {a.name: a for a in (VAE, GMM, LCA, PPCA, FA)}
