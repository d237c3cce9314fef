"""`Transformed`: a distribution pushed through bijections, as a posterior or a prior.

    e ~ base,    z = decode(e),        log q(z) = log base(e) - log |det dz/de|

A chain's data side is z here and its latent side e. Draws carry their own density, which costs nothing
beyond the pass that makes them; the density at a given z takes the other direction (`cost.encode`).

Source: Rezende and Mohamed, Variational inference with normalizing flows (2015), section 3.
"""

from typing import Any

from jaxtyping import Array, PRNGKeyArray

from taut.core import (
    NEG_LOG_Q,
    AbstractProposal,
    Draws,
    Terms,
    as_proposal,
    over_draws,
    total,
)
from taut.transforms.chain import Chain

__all__ = ["Transformed"]


class Transformed(AbstractProposal):
    """q(z), z the data side of a chain of bijections over a base.

    Attributes:
        base: proposal or NumPyro distribution over e, of the chain's `z_shape`.
        chain: bijections.
        condition: what conditional layers read.
    """

    base: Any
    chain: Chain
    condition: Array | None = None

    @property
    def reparameterized(self) -> bool:
        return as_proposal(self.base).reparameterized

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        base = as_proposal(self.base)
        draws = base.draw(key, num_particles)
        own = over_draws(base.terms, draws.z) if draws.terms is None else draws.terms
        z, log_det = over_draws(lambda e: self.chain.decode_and_log_det(e, self.condition), draws.z)
        return Draws(z, draws.log_mass, {NEG_LOG_Q: total(own, batch_ndim=1) + log_det})

    def center(self) -> Any:
        """The image of the base's centre: not the mean of z, unless the bijections are affine."""
        return self.chain.decode_and_log_det(as_proposal(self.base).center(), self.condition)[0]

    def terms(self, z: Any) -> Terms:
        e, log_det = self.chain.encode_and_log_det(z, self.condition)
        return {NEG_LOG_Q: total(as_proposal(self.base).terms(e)) - log_det}
