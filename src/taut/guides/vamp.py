"""`VampPair`: a model whose prior averages its guide, q(z | u), over learned pseudo-inputs u."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.core import AbstractPair, Datum
from taut.guides.amortized import AmortizedGuide
from taut.models import LatentVariableModel, VampPrior

__all__ = ["VampPair"]


class VampPair(AbstractPair):
    """A model with a `VampPrior`, and its guide: each array of the guide is once here and on both sides.

    Attributes:
        model: p(x | z), and the pseudo-inputs.
        guide: q(z | x).
    """

    model: LatentVariableModel
    guide: Any

    def bind(self) -> tuple[LatentVariableModel, Any]:
        prior: Any = self.model.prior_family
        assert isinstance(prior, VampPrior)  # as the architecture made it
        rows = Datum(prior.pseudo_inputs)
        if isinstance(self.guide, AmortizedGuide):
            # One pass of the encoder for each pseudo-input, however many densities are asked for. A
            # model from a file holds NumPy arrays.
            guide = jax.tree.map(_on_device, self.guide)
            bound = prior.bound_to(self.guide.family, jax.vmap(guide.features)(rows))
        else:
            bound = prior.bound_to(self.guide, rows)
        return eqx.tree_at(lambda m: m.prior_family, self.model, bound), self.guide


def _on_device(leaf: Any) -> Any:
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf
