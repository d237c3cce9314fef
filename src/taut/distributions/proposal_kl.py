"""KL between the proposals that guides and priors return, by group of the latent.

    distributions     one group for each dimension, where both factorize; else one in all
    discrete units    one group for each unit
    strata            KL(q(y) to p(y)) + sum_y q(y) KL(q(z | y) to p(z)):  log q(y) - log p(y) and the
                      inner divergence at each stratum y, which the strata's masses then average

Exact in nats. None where no rule applies; bounds then use the draws.
"""

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from taut.core import (
    AbstractFactorizedProposal,
    AbstractProposal,
    DistributionProposal,
    ProductProposal,
    StratifiedProposal,
    total,
)
from taut.distributions.kl import closed_kl, kl_per_dimension

__all__ = ["proposal_kl"]


def proposal_kl(q: AbstractProposal, p: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
    """KL(q to p) at one draw z of q, (G,) over groups in nats; None without a rule.

    Its average over the draws, by their masses, is the divergence.
    """
    if isinstance(q, StratifiedProposal):
        return _stratified(q, p, z)
    inner, outer = _distribution(q), _distribution(p)
    if inner is None or outer is None:
        return None
    per_dimension = kl_per_dimension(inner, outer)
    if per_dimension is not None:
        return per_dimension
    whole = closed_kl(inner, outer)
    return None if whole is None else whole[None]


def _stratified(q: StratifiedProposal, p: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
    if not isinstance(p, ProductProposal) or len(p.parts) != 2:
        return None
    y, _ = z
    classes, within = p.parts
    inner = _distribution(within)
    inner = None if inner is None else kl_per_dimension(q.within(y), inner)
    if inner is None:
        return None
    outer = y @ q.log_q_y + total(classes.terms(y))
    return jnp.concatenate([outer[None], inner])


def _distribution(q: AbstractProposal) -> dist.Distribution | None:
    if isinstance(q, DistributionProposal | AbstractFactorizedProposal):
        return q.distribution
    return None
