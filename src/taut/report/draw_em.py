"""The figures of EM: the evidence after each iteration, and the curve that components were chosen by."""

from pathlib import Path

import numpy as np

from taut.fitted import Fit
from taut.report.figures.em import em_evidence, em_selection

__all__ = ["draw_em"]


def draw_em(fit: Fit, folder: Path) -> tuple[Path, ...]:
    """Draw how EM went.

    Arguments:
        fit: what `taut.em` returned.
        folder: where to write.

    Returns:
        the files; the selection is drawn where there was more than one number of components.
    """
    em = fit.facts.em
    assert em is not None
    drawn = []
    if em.chosen_by is not None:
        curve = em.selection
        drawn.append(
            em_selection(
                folder / "selection.png",
                components=np.asarray([point.components for point in curve]),
                validation=np.asarray([point.validation for point in curve]),
                validation_error=np.asarray([point.validation_error for point in curve]),
                training=np.asarray([point.training for point in curve]),
                bic=np.asarray([point.bic for point in curve]),
                chosen=em.components,
                by=em.chosen_by,
            )
        )
    drawn.append(  # last: by it a finished drawing is known
        em_evidence(
            folder / "evidence.png",
            steps=np.asarray([record["step"] for record in fit.history]),
            log_evidence=np.asarray([record["bound"] for record in fit.history], np.float64),
            per="iteration" if em.start_rows is None else "batch",
        )
    )
    return tuple(drawn)
