"""The prior of a class and of what varies within classes, independent of each other.

    p(y, z) = Cat(y; softmax(logits)) p(z),        y one-hot in C classes

Source: Kingma, Mohamed, Rezende and Welling, Semi-supervised learning with deep generative models
(2014); there p(y) is fixed, here its logits are learned, from equal ones.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.core import ProductProposal, as_proposal
from taut.models.exact.one_hot import OneHotCategorical
from taut.models.priors.abstract import AbstractPrior

__all__ = ["ProductPrior"]


class ProductPrior(AbstractPrior):
    """p(y) p(z) over pairs (y, z).

    Arguments:
        num_classes: C.
        within: p(z), a density.

    Attributes:
        logits: unnormalized log-probabilities of the classes, (C,).
    """

    name: ClassVar[str] = "product"

    logits: Float[Array, " C"]
    within: AbstractPrior

    def __init__(self, num_classes: int, within: AbstractPrior):
        self.logits = jnp.zeros(num_classes)
        self.within = within

    def __call__(self) -> Any:
        classes = OneHotCategorical(jax.nn.log_softmax(self.logits))
        return ProductProposal((classes, as_proposal(self.within())))
