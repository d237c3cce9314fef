"""`fit.report` and `posterior.report`: a result as one HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING

from taut.core import InputError
from taut.data import Data
from taut.fitted import Fit, Posterior
from taut.fitted.own_data import own_or_why, refuse_other_data
from taut.program_cache import compilation_cache

if TYPE_CHECKING:
    from taut.report.html.reported import Reported

__all__ = ["report", "report_posterior"]


@compilation_cache()
def report(fit: Fit, path: Path | str, *, data: Data | None = None) -> Path:
    """Write what is known of the fit as one HTML file, which needs no network and no scripts.

    Arguments:
        path: of the file; its folder must exist.
        data: the `Data` that it was fitted to, for pictures of rows; None loads those of the recipe,
            where they have a name.

    Returns:
        the path.

    Raises:
        InputError: the path cannot be written, or the data are not those of the fit.
    """
    from taut.report.html.reported import reported_fit

    if data is not None:
        refuse_other_data(fit, data, where="report, data")
    if data is not None or fit.recipe.data.source is None:
        return _written(path, reported_fit(fit, data))
    data, why = own_or_why(fit)
    return _written(path, reported_fit(fit, data, why=why))


def report_posterior(posterior: Posterior, path: Path | str) -> Path:
    """Write what is known of the posterior as one HTML file; as of `report`."""
    from taut.report.html.reported import reported_posterior

    return _written(path, reported_posterior(posterior))


def _written(path: Path | str, reported: "Reported") -> Path:
    from taut.report.html.report import write_report

    path = Path(path)
    if path.is_dir():
        raise InputError("a file", "a folder", f"{path / 'report.html'}", where=str(path))
    if not path.parent.is_dir():
        raise InputError(
            "a folder that exists", f"{path.parent}", "making it first", where=str(path)
        )
    return write_report(path, [reported])
