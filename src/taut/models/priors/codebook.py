"""The uniform prior over sequences of codes, each an entry of one codebook.

    z = (e_{k_1}, ..., e_{k_P}),        p(k_1, ..., k_P) = N^-P

Source: van den Oord, Vinyals and Kavukcuoglu, Neural discrete representation learning (2017), section
3.1; the autoregressive prior that they fit afterwards is another p(z).
"""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, equal_mass
from taut.models.priors.abstract import AbstractPrior

__all__ = ["CodebookPrior", "UniformCodes"]


class UniformCodes(AbstractProposal):
    """Independent draws of P codes out of N.

    Attributes:
        codebook: the codes' vectors, (N, d).
        positions: P.
    """

    codebook: Float[Array, "N d"]
    positions: int = eqx.field(static=True)

    @property
    def reparameterized(self) -> bool:
        return False

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        codes = jax.random.randint(key, (num_particles, self.positions), 0, self.codebook.shape[0])
        return Draws(self.codebook[codes], equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        """P log N nats at any sequence of codes; what is no code is not asked about."""
        return {NEG_LOG_Q: self.entropy()}

    def mean(self) -> Float[Array, "P d"]:
        mean = jnp.mean(self.codebook, axis=0)
        return jnp.broadcast_to(mean, (self.positions, mean.shape[0]))

    def entropy(self) -> Float[Array, ""]:
        nats = self.positions * math.log(self.codebook.shape[0])
        return jnp.asarray(nats, self.codebook.dtype)


class CodebookPrior(AbstractPrior):
    """N^-P for every sequence of P codes; nothing of it is learned, the codebook's entries aside.

    Attributes:
        codebook: the codes' vectors, (N, d).
        positions: P.
    """

    name: ClassVar[str] = "codebook"

    codebook: Float[Array, "N d"]
    positions: int = eqx.field(static=True)

    def __call__(self) -> Any:
        return UniformCodes(self.codebook, self.positions)
