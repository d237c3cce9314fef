"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.factor import FA, PPCA
from taut.architectures.ladder import Ladder
from taut.architectures.mixture import GMM, LCA
from taut.architectures.vae import VAE

__all__ = ["ARCHITECTURES", "FA", "GMM", "LCA", "PPCA", "VAE", "AbstractArchitecture", "Ladder"]

_Any = type[VAE] | type[Ladder] | type[GMM] | type[LCA] | type[PPCA] | type[FA]

ARCHITECTURES: dict[str, _Any] = {a.name: a for a in (VAE, Ladder, GMM, LCA, PPCA, FA)}
