"""Along the way: the target's score and the log-density from rows to answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Real

from taut.report.style import CLASSES, GREY, dress, headline, new_figure, save

__all__ = ["along_path"]

_MOST = 12


def along_path(
    path: Path | str,
    scores: Sequence[Real[np.ndarray, " _"]],
    log_density: Sequence[Real[np.ndarray, " _"] | None],
    *,
    level: float,
    density_of: str | None,
) -> Path:
    """Draw score and log-density at each step that was taken.

    Arguments:
        path: PNG file to write.
        scores: of the target at the points of each way; the first 12 ways are shown.
        log_density: at the same points, nats; None where it is not known.
        level: that a score is to reach.
        density_of: `row` or `code`.
    """
    figure = new_figure(6.4 if density_of else 3.6, 2.8)
    headline(figure, "Score and log-density on the ways from rows to answers")
    panels: list[tuple[str, list[Any]]] = [("score of the target", list(scores))]
    if density_of is not None:
        panels.append((f"log-density of the {density_of}, nats", list(log_density)))
    for place, (title, lines) in enumerate(panels):
        ax = figure.add_subplot(1, len(panels), place + 1)
        dress(ax, x="steps taken", y=title, small=True)
        for i, line in enumerate(lines[:_MOST]):
            if line is not None:
                ax.plot(
                    line, color=CLASSES[i], linewidth=1.1, marker="." if len(line) == 1 else None
                )
        if place == 0:
            ax.axhline(level, color=GREY, linewidth=0.8, linestyle="--")
    return save(figure, path)
