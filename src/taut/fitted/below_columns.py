"""A fit that explains held-out rows worse than independent columns do, and what to try.

Independent columns have no latent variable: a model below them has not learned how the columns hang
together, or pays for it more than it gains.
"""

import math
from collections.abc import Mapping

from taut.architectures import GMM, PPCA, AbstractArchitecture, AbstractClosedForm
from taut.core import Estimate, far_rows, paired_difference

__all__ = ["below_columns", "below_columns_note"]

_ERRORS = 2.0  # standard errors that are no chance
_SHARE = 0.1  # of the error over rows: what is less is not worth a reader's time


def below_columns(estimates: Mapping[str, Estimate]) -> Estimate | None:
    """Log-evidence minus that of independent columns, paired by row, where it is below zero.

    Arguments:
        estimates: of a fit, by name.

    Returns:
        the difference in nats per row, over the rows where it is finite; None where it is not below
        zero by more than two of its errors and a tenth of that of independent columns, or where one of
        the two is missing.
    """
    model, columns = (estimates.get(name) for name in ("log_evidence", "independent_columns"))
    if model is None or columns is None or model.values is None or columns.values is None:
        return None
    difference = paired_difference(model, columns)
    far = far_rows(difference)
    if far is not None and not math.isfinite(difference.value):
        if far.others is None:
            return None
        difference = far.others
    errors = (difference.mc_error, difference.data_error)
    error = math.hypot(*(0.0 if math.isnan(e) else e for e in errors))
    least = _SHARE * columns.data_error if math.isfinite(columns.data_error) else 0.0
    return difference if difference.value < -max(_ERRORS * error, least) else None


def below_columns_note(
    estimates: Mapping[str, Estimate], architecture: AbstractArchitecture, *, ended: str = ""
) -> tuple[str, ...]:
    """The same as a note with what to try; nothing where the fit is not below independent columns.

    Arguments:
        estimates: of the fit, by name.
        architecture: of the model.
        ended: how its training ended, as `taut.training.ending` has it.
    """
    difference = below_columns(estimates)
    if difference is None:
        return ()
    return (
        f"the model is {-difference.value:.4g} nats per row below independent columns, which have no "
        f"latent variable; {_to_try(architecture, ended)}",
    )


def _to_try(architecture: AbstractArchitecture, ended: str) -> str:
    if isinstance(architecture, PPCA):
        return "its one noise variance does not suit columns that differ: try the model fa"
    if isinstance(architecture, GMM) and architecture.covariance != "diag":
        return "try the covariance diag, which one component makes independent columns"
    if isinstance(architecture, AbstractClosedForm):
        return "try fewer components" if architecture.components > 1 else "do not use it"
    if ended == "rising":
        return "it was still rising: try more epochs"
    if ended == "early":
        return "try a smaller learning rate, such as 0.0003, or more patience before it stops"
    return "try more epochs, or fewer latents"
