"""The network from any latent to a likelihood's outputs.

    outputs = network(u) + offset

u is z as one vector, whatever its form: one-hot rows, a pair of a class and a vector, a sequence of
codes. Bits enter as signs, u = 2 z - 1, and the offset stands at the data's log-odds, so that the
network starts from the marginals of the columns (Tucker et al. 2017, appendix; Grathwohl et al. 2018,
appendix, both from their code).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["LatentDecoder", "flat"]


class LatentDecoder(eqx.Module):
    """A network that reads z as one vector.

    Attributes:
        network: from a vector to the likelihood's outputs.
        offset: added to the outputs, of their size; a constant of the data, never trained. None for 0.
        signed: whether latents in {0, 1} are read as {-1, 1}.
        first_of_layers: whether z is a tuple of stochastic layers, of which the first is read.
    """

    network: Any
    offset: Float[Array, " outputs"] | None = None
    signed: bool = eqx.field(static=True, default=False)
    first_of_layers: bool = eqx.field(static=True, default=False)

    def __call__(self, z: Any) -> Float[Array, " outputs"]:
        u = self.read(z)
        outputs = self.network(2 * u - 1 if self.signed else u)
        return outputs if self.offset is None else outputs + jax.lax.stop_gradient(self.offset)

    def read(self, z: Any) -> Float[Array, " n"]:
        """What the network reads of z, as one vector."""
        return flat(z[0] if self.first_of_layers and isinstance(z, tuple) else z)


def flat(z: Any) -> Float[Array, " n"]:
    """All leaves of a latent as one vector."""
    return jnp.concatenate([jnp.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(z)])
