"""The model without a latent variable: one component, whose columns are independent."""

from dataclasses import replace

from taut.architectures import FA, GMM, LCA, PPCA
from taut.inference.exact.candidate import skeleton_of
from taut.inference.exact.em_data import EMData
from taut.inference.exact.restarts import Floor, best_of_restarts
from taut.inference.exact.row_blocks import Rows
from taut.models import AbstractExactModel

__all__ = ["independent_columns"]


def independent_columns(architecture: GMM | LCA | PPCA | FA, given: EMData) -> AbstractExactModel:
    """Fitted to the rows that `architecture` was fitted to: what a latent variable has to beat."""
    one = replace(architecture, components=1) if isinstance(architecture, LCA) else GMM(1, "diag")
    rows = given.train if given.held_out is None else Rows(given.sample(0))
    result, _ = best_of_restarts(
        skeleton_of(one, given),
        rows,
        Floor(one.default_floor),
        restarts=1,
        seed=0,
        tolerance=1e-9,
        max_iterations=2,
    )
    return result.model
