"""H[p] in nats of a distribution of NumPyro, over its batch of independent cells."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

__all__ = ["entropy_of"]


def entropy_of(cells: Distribution) -> Float[Array, ""] | None:
    """The sum of the entropies of all cells, (), exact; None where there is no closed form."""
    try:
        return jnp.sum(jnp.asarray(cells.entropy()))
    except NotImplementedError:
        return None
