"""The VAE layer: both directions draw.

    x ~ p(x | z) = decoder(z),   z ~ q(z | x) = encoder(x),        log p(x | z) - log q(z | x) enters

Over a base it is the variational autoencoder; bijections above it make a flow prior; a second one above
it makes a hierarchical model whose guide goes from the data upwards:

    p(x | z_1) p(z_1 | z_2) p(z_2),        q(z_1 | x) q(z_2 | z_1)

Sources: Kingma and Welling, Auto-encoding variational Bayes (2014), equation 3; Rezende, Mohamed and
Wierstra (2014), section 4; Nielsen et al., SurVAE Flows (2020), table 1.
"""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array

from taut.core import DENSITY, LOG_LIKELIHOOD, MASS, NEG_LOG_Q, Terms, as_proposal
from taut.transforms.abstract import AbstractLayer, Encoded, Key, Kind
from taut.transforms.conditional import drawn_once, is_reparameterized, log_density

__all__ = ["VAELayer"]


class VAELayer(AbstractLayer):
    """An encoder and a decoder.

    Attributes:
        encoder: q(z | x): callable from x to a distribution or proposal over z.
        decoder: p(x | z): callable from z to a distribution or proposal over x.
    """

    name: ClassVar[str] = "vae"
    kind: ClassVar[Kind] = "stochastic"
    deterministic_encode: ClassVar[bool] = False
    deterministic_decode: ClassVar[bool] = False

    encoder: Any
    decoder: Any
    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def cell_kinds(self) -> tuple[str, ...] | None:
        discrete = getattr(getattr(self.decoder, "likelihood", None), "discrete", None)
        return None if discrete is None else (MASS if discrete else DENSITY,)

    @property
    def reparameterized(self) -> bool:
        return is_reparameterized(self.encoder, self.x_shape)

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        z, log_q = drawn_once(self.encoder(x), key, where="encoder")
        return Encoded(z, {NEG_LOG_Q: -log_q})

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return drawn_once(self.decoder(z), key, where="decoder")[0]

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {NEG_LOG_Q: -log_density(self.encoder(x), z)}

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_LIKELIHOOD: log_density(self.decoder(z), x)}

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        return as_proposal(self.decoder(z)).mean()
