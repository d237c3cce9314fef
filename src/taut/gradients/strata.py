"""What estimators ask of a bound where the guide enumerates a class, and what they see of its draws.

    ELBO         sum_c q(c) E[log w_c]                     each class counts by its mass q(c)
    IWAE, Renyi  log sum_c q(c) w_c,   w_c = p_c / q(c)    the masses cancel

The second leaves q(c) as it was initialised, so a guide with classes is trained by the first alone.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractProposal, InputError, Particles, option, weighted_sum

__all__ = ["over_strata", "require_masses"]


def require_masses(bound: AbstractBound, q: AbstractProposal) -> None:
    """Refuse a bound in which the masses of an enumerated class cancel.

    Raises:
        InputError: the guide has strata, and the bound is not the ELBO.
    """
    if q.strata > 1 and not isinstance(bound, ELBO):
        raise InputError(
            "the ELBO, where each class that the guide enumerates counts by its mass",
            f"the bound '{bound.name}'",
            f"{option('bound', 'elbo')} with {option('gradient', 'reparameterized')}",
            where="gradient",
        )


def over_strata(particles: Particles, values: Float[Array, " K"]) -> Float[Array, "..."]:
    """Each replicate's average over its strata by their masses; without strata the values themselves."""
    if particles.strata == 1:
        return values
    log_mass, values = (a.reshape(-1, particles.strata) for a in (particles.log_mass, values))
    # Masses of a replicate add up to one.
    return jax.vmap(weighted_sum)(log_mass + jnp.log(float(len(values))), values)
