"""Independent discrete units, learned or uniform.

    p(z) = prod_d Ber(z_d; sigmoid(l_d))        or        prod_d Cat(z_d; softmax(l_d))

The logits start at zero, where the prior is uniform; learned, they are the log-odds that sigmoid belief
networks have at their top (Neal 1992).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import frozen
from taut.models.priors.abstract import AbstractPrior
from taut.models.stochastic_layer import StochasticLayer

__all__ = ["FactorizedPrior"]


class FactorizedPrior(AbstractPrior):
    """p(z) over one layer of units.

    Arguments:
        layer: the form of the layer.
        learned: whether the logits move; else each outcome of a unit keeps the same probability.

    Attributes:
        logits: (layer.size,).
    """

    name: ClassVar[str] = "factorized"

    layer: StochasticLayer
    logits: Float[Array, " F"]
    learned: bool = eqx.field(static=True)

    def __init__(self, layer: StochasticLayer, *, learned: bool = True):
        self.layer, self.learned = layer, learned
        self.logits = jnp.zeros(layer.size)

    def __call__(self) -> Any:
        q = self.layer(self.logits)
        return q if self.learned else frozen(q)
