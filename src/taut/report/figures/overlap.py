"""Mutual information against log N: how many rows a draw of each row may be of."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.report.style import BLUE, INK, VERMILION, add_legend, dress, new_figure, save

__all__ = ["overlap"]


def overlap(path: Path | str, information: Float[np.ndarray, " R"], ceiling: float) -> Path:
    """Draw a histogram over rows, with the mean and the ceiling.

    Arguments:
        path: PNG file to write.
        information: E_q log q(z | x_n) / q_agg(z) of each row, nats.
        ceiling: log N.
    """
    figure = new_figure(5.6, 3.0)
    axes = figure.add_subplot()
    dress(axes, title="What z says of which row it is of", x="nats", y="rows")
    low = min(0.0, float(np.min(information)))
    axes.hist(information, bins=np.linspace(low, ceiling * 1.02, 40).tolist(), color=BLUE)
    axes.axvline(
        ceiling, color=INK, linestyle=(0, (4, 3)), label=f"log N = {ceiling:.2f}, all apart"
    )
    mean = float(np.mean(information))
    axes.axvline(mean, color=VERMILION, label=f"mutual information, {mean:.2f}")
    add_legend(figure, loc="outside lower center", ncols=2)
    return save(figure, path)
