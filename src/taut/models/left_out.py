"""A model of rows some of whose cells are left out: nobody looked whether they are missing.

    p(x_o, s_K) = int p(z) prod_(d observed) p(x_d | z) prod_(d in K) p(s_d | x_d, z) dz

K are the cells that are not left out. A cell that is to be predicted or drawn is no missing one: of a
model that says which cells are missing (`SelfMasking`) it has no factor p(s_d | x_d), whether a value is
tried for it or not, and where it is drawn it is one of p(x_d | z). Of any other model nothing changes.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from taut.core import AbstractModel, AbstractPair
from taut.models.latent_variable import LatentVariableModel
from taut.models.self_masking import SelfMasking

__all__ = ["LeftOut"]


class LeftOut(AbstractPair):
    """A pair whose model does not say of some cells whether they are missing.

    Attributes:
        pair: of all cells.
        cells: True where a cell is left out, of a row's shape.
    """

    pair: AbstractPair
    cells: Bool[Array, "*data"]

    def bind(self) -> tuple[AbstractModel, Any]:
        model, guide = self.pair.bind()
        if isinstance(model, LatentVariableModel) and model.masking is not None:
            partly = _MaskingOfSome(model.masking, self.cells)
            model = eqx.tree_at(lambda m: m.masking, model, partly)
        return model, guide


class _MaskingOfSome(eqx.Module):
    """`SelfMasking` of the cells that are not left out."""

    masking: SelfMasking
    cells: Bool[Array, "*data"]

    def log_prob(
        self, u: Float[Array, "*data"], mask: Bool[Array, "*data"] | None, cells: Any
    ) -> Float[Array, ""]:
        return jnp.sum(jnp.where(self.cells, 0, self.masking.of_cells(u, mask, cells)))

    def mean(self, cells: Any) -> Float[Array, "*data"]:
        return jnp.where(self.cells, cells.mean, self.masking.mean(cells))

    def sample(self, cells: Any, key: PRNGKeyArray) -> Float[Array, "*data"]:
        return jnp.where(self.cells, cells.sample(key), self.masking.sample(cells, key))
