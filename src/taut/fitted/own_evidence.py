"""The log-evidence of a fit whose model has it in closed form, without draws and bounds beside it."""

from typing import TYPE_CHECKING

import jax

from taut.core import NO_BOUND, Datum, Estimate
from taut.evidence.closed_form import closed_form
from taut.fitted.training_rows import flagged
from taut.models import AbstractExactModel

if TYPE_CHECKING:
    from taut.fitted.fit import Fit

__all__ = ["own_evidence"]


def own_evidence(fit: "Fit", rows: Datum) -> Estimate | None:
    """log p(x) of the observed cells, exact, nats per row; None where the model has no closed form.

    Without a bound where the density was found to have none when it was fitted, and flagged where the
    rows are known to hold those that it was fitted to.
    """
    model = fit.model
    if not isinstance(model, AbstractExactModel):
        return None
    with jax.enable_x64(fit.precision == "float64"):
        exact = closed_form(model, rows)
    fitted = fit.estimates.get("log_evidence", exact)
    return flagged(exact.without_bound() if NO_BOUND in fitted.flags else exact, fit, rows)
