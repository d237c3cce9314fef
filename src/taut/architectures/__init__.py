"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.vae import VAE

__all__ = ["ARCHITECTURES", "VAE", "AbstractArchitecture"]

ARCHITECTURES: dict[str, type[VAE]] = {a.name: a for a in (VAE,)}
