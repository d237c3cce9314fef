"""The guide that a NumPyro program of rows is: q(z | x), from the program run at one row."""

from collections.abc import Callable
from typing import Any

import equinox as eqx

from taut.core import Datum
from taut.models.row_program import RowSites, of_row, run_at

__all__ = ["RowProgramGuide"]


class RowProgramGuide(eqx.Module):
    """A program as a guide.

    Attributes:
        program: a function of a batch of rows with one latent site.
        params: values of its param sites by name.
        sites: of it.
    """

    program: Callable[..., Any] = eqx.field(static=True)
    params: dict[str, Any]
    sites: RowSites

    def __call__(self, datum: Datum) -> Any:
        """q(z | x), a distribution or a proposal over one vector."""
        return of_row(run_at(self.program, self.params, datum.x[None])[self.sites.latent]["fn"])
