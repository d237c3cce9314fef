"""The figures of EM: the evidence after each iteration, and the curve that components were chosen by."""

from pathlib import Path

import numpy as np

from taut.core import InputError
from taut.fitted import Fit
from taut.fitted.facts import EMFacts
from taut.report.figures.em import em_evidence, em_selection

__all__ = ["draw_em", "draw_evidence", "draw_selection"]


def draw_em(fit: Fit, folder: Path) -> tuple[Path, ...]:
    """Draw how EM went.

    Arguments:
        fit: what `taut.em` returned.
        folder: where to write.

    Returns:
        the files; the selection is drawn where there was more than one number of components.
    """
    chosen = _facts(fit).chosen_by is not None
    drawn = [draw_selection(fit, folder / "selection.png")] if chosen else []
    # Last: by it a finished drawing is known.
    drawn.append(draw_evidence(fit, folder / "evidence.png"))
    return tuple(drawn)


def draw_evidence(fit: Fit, path: Path) -> Path:
    """Draw the log-evidence of the training rows after each iteration.

    Raises:
        InputError: a fit by steps.
    """
    return em_evidence(
        path,
        steps=np.asarray([record["step"] for record in fit.history]),
        log_evidence=np.asarray([record["bound"] for record in fit.history], np.float64),
        per="iteration" if _facts(fit).start_rows is None else "batch",
    )


def draw_selection(fit: Fit, path: Path) -> Path:
    """Draw the curve that the number of components was chosen by.

    Raises:
        InputError: there was one number alone, or the fit is one by steps.
    """
    em = _facts(fit)
    if em.chosen_by is None:
        raise InputError(
            "several numbers of components to choose from", "one",
            "taut.em(data, components=range(1, 9))", where="selection",
        )  # fmt: skip
    return em_selection(
        path,
        components=np.asarray([point.components for point in em.selection]),
        validation=np.asarray([point.validation for point in em.selection]),
        validation_error=np.asarray([point.validation_error for point in em.selection]),
        training=np.asarray([point.training for point in em.selection]),
        bic=np.asarray([point.bic for point in em.selection]),
        chosen=em.components,
        by=em.chosen_by,
    )


def _facts(fit: Fit) -> EMFacts:
    if fit.facts.em is None:
        raise InputError(
            "a fit by EM", f"one by steps, of the model '{fit.architecture.name}'",
            "its learning curves", where="figure",
        )  # fmt: skip
    return fit.facts.em
