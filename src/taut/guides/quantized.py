"""The deterministic guide of a vector-quantized model: each encoded vector goes to its nearest code.

    k_p(x) = argmin_k |h_p(x) - e_k|^2,        q(k_1, ..., k_P | x) = 1 at k(x)

It puts all its mass on one of N^P sequences of codes, so that log q = 0 there and

    log p(x) >= log p(x | e_k(x)) - P log N

under the uniform prior: the one draw is exhaustive, but does not cover the posterior. The draw passes
the gradient in z on to the encoder's output h as it is (van den Oord et al. 2017, section 3.2).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractPair, AbstractProposal, Draws, Terms
from taut.guides.abstract import AbstractFamily
from taut.guides.amortized import AmortizedGuide
from taut.models import AbstractLikelihood, CodebookPrior, LatentVariableModel, LogCounts, Units

__all__ = ["NearestCodes", "QuantizedPair", "QuantizedProposal", "nearest_codes"]


class QuantizedProposal(AbstractProposal):
    """All mass on the nearest codes.

    Attributes:
        encoded: h, (P, d).
        codebook: the codes' vectors, (N, d).
    """

    encoded: Float[Array, "P d"]
    codebook: Float[Array, "N d"]

    @property
    def reparameterized(self) -> bool:
        return True

    @property
    def exhaustive(self) -> bool:
        return True

    @property
    def covering(self) -> bool:
        return False

    @property
    def codes(self) -> Int[Array, " P"]:
        """Numbers of the nearest codes."""
        return nearest_codes(self.encoded, self.codebook)

    @property
    def quantized(self) -> Float[Array, "P d"]:
        """Vectors of the nearest codes, without a gradient."""
        return jax.lax.stop_gradient(self.codebook)[self.codes]

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        quantized = self.quantized
        # Adding zero keeps the codes' bits; its gradient is that of h.
        through = quantized + (self.encoded - jax.lax.stop_gradient(self.encoded))
        return Draws(through[None], jnp.zeros(1, self.encoded.dtype))

    def terms(self, z: Any) -> Terms:
        return {NEG_LOG_Q: jnp.zeros((), self.encoded.dtype)}

    def mean(self) -> Float[Array, "P d"]:
        return self.quantized

    def entropy(self) -> Float[Array, ""]:
        return jnp.zeros((), self.encoded.dtype)

    def commitment(self) -> Float[Array, ""]:
        """|h - sg(e)|^2 over all positions: what keeps the encoder near its codes."""
        return jnp.sum((self.encoded - self.quantized) ** 2)


class NearestCodes(AbstractFamily):
    """P positions, each of which goes to the nearest entry of one codebook.

    Arguments:
        positions: P.
        codebook: the codes' vectors, (N, d).
    """

    name: ClassVar[str] = "nearest-codes"

    positions: int = eqx.field(static=True)
    codebook: Float[Array, "N d"]
    latent_dim: int = eqx.field(static=True)

    def __init__(self, positions: int, codebook: Float[Array, "N d"]):
        self.positions, self.codebook = positions, codebook
        self.latent_dim = positions * codebook.shape[1]

    @property
    def num_features(self) -> int:
        return self.latent_dim

    def __call__(self, features: Float[Array, " F"]) -> QuantizedProposal:
        """A proposal over sequences of codes, (P, d)."""
        return QuantizedProposal(features.reshape(self.positions, -1), self.codebook)


def nearest_codes(h: Float[Array, "P d"], codebook: Float[Array, "N d"]) -> Int[Array, " P"]:
    """For each vector the number of the code at the least distance, (P,)."""
    # |h - e|^2 without |h|^2, which all codes share.
    return jnp.argmin(jnp.sum(codebook**2, axis=1) - 2 * h @ codebook.T, axis=1)


class QuantizedPair(AbstractPair):
    """Parameters of a vector-quantized autoencoder; both sides read the codebook.

    Attributes:
        codebook: the codes' vectors, (N, d); moved by averages of what they stand for, not by
            gradients.
        positions: P.
        decoder: maps codes, (P, d), to the likelihood's outputs.
        likelihood: p(x | outputs), cell by cell.
        encoder: maps x to P d features.
        data_shape: shape of x, static.
        units: standardisation of x; None where the networks work in the data's units.
        center: subtracted from what the encoder reads, of the data's shape.
        counts: how the encoder reads counts; None where x are no counts.
        marked: the encoder reads which cells are observed, too.
    """

    codebook: Float[Array, "N d"]
    positions: int = eqx.field(static=True)
    decoder: Any
    likelihood: AbstractLikelihood
    encoder: Any
    data_shape: tuple[int, ...] = eqx.field(static=True)
    units: Units | None = None
    center: Float[Array, "..."] | None = None
    counts: LogCounts | None = None
    marked: bool = eqx.field(static=True, default=False)

    def bind(self) -> tuple[LatentVariableModel, AmortizedGuide]:
        prior = CodebookPrior(self.codebook, self.positions)
        model = LatentVariableModel(
            prior, self.decoder, self.likelihood, self.data_shape, self.units
        )
        family = NearestCodes(self.positions, self.codebook)
        return model, AmortizedGuide(
            self.encoder, family, self.units, self.counts, self.center, self.marked
        )
