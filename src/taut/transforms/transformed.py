"""`Transformed`: a distribution pushed through bijections, as a posterior or a prior.

    e ~ base,    z = decode(e),        log q(z) = log base(e) - log |det dz/de|
    z_0 = decode(m) + R (e - m)        beside it, where the base is N(m, diag(s)^2)

A chain's data side is z here and its latent side e. R is what the chain does at rest, an order of the
dimensions and one factor, so that z_0 is Gaussian with the scales R s, and z itself where the chain is
at rest. Draws carry their own density, which costs nothing beyond the pass that makes them, and z_0,
which takes one pass for all of them; the density at a given z takes the other direction (`cost.encode`).

Source: Rezende and Mohamed, Variational inference with normalizing flows (2015), section 3.
"""

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, PRNGKeyArray

from taut.core import (
    NEG_LOG_Q,
    AbstractProposal,
    Companion,
    DistributionProposal,
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
        terms = {NEG_LOG_Q: total(own, batch_ndim=1) + log_det}
        return Draws(z, draws.log_mass, terms, self._companion(base, draws.z))

    def center(self) -> Any:
        """The image of the base's centre: not the mean of z, unless the bijections are affine."""
        return self.chain.decode_and_log_det(as_proposal(self.base).center(), self.condition)[0]

    def _companion(self, base: AbstractProposal, e: Any) -> Companion | None:
        gaussian = _diagonal_gaussian(base)
        if gaussian is None or self.chain.x_shape != self.chain.z_shape:
            return None
        loc, scale = gaussian
        rest, moved = self.chain.decode_at_rest, self.center()
        beside = over_draws(lambda one: moved + rest(one - loc), e)
        q = dist.Normal(moved, rest(scale)).to_event(len(self.chain.z_shape))
        return Companion(DistributionProposal(q), beside)

    def terms(self, z: Any) -> Terms:
        e, log_det = self.chain.encode_and_log_det(z, self.condition)
        return {NEG_LOG_Q: total(as_proposal(self.base).terms(e)) - log_det}


def _diagonal_gaussian(base: AbstractProposal) -> tuple[Array, Array] | None:
    """Mean and standard deviations of independent normal numbers; None of anything else."""
    q = base.distribution if isinstance(base, DistributionProposal) else None
    if not (isinstance(q, dist.Independent) and isinstance(q.base_dist, dist.Normal)):
        return None
    inner: Any = q.base_dist
    return jnp.broadcast_to(inner.loc, q.event_shape), jnp.broadcast_to(inner.scale, q.event_shape)
