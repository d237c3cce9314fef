"""The largest importance weights of a posterior's draws, with the slopes that k-hat means.

In the tail, the weight of rank r among K falls as r^{-k}: on logarithmic axes k-hat is the slope.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Real

from taut.core import InputError
from taut.report.style import BLUE, GREY, VERMILION, add_legend, dress, new_figure, save

__all__ = ["weight_tail"]


def weight_tail(
    path: Path | str, weights: Real[np.ndarray, " K"], khat: float, threshold: float
) -> Path:
    """Draw the sorted weights.

    Arguments:
        path: PNG file to write.
        weights: smoothed and adding up to 1, (K,).
        khat: their Pareto shape; NaN where none was fitted, -inf where they are constant.
        threshold: above it the draws are of no use.

    Raises:
        InputError: no weight.
    """
    if len(weights) == 0:
        raise InputError("at least one weight", "none", "more draws", where="weights")
    count = len(weights)
    ranked = np.sort(np.asarray(weights, np.float64))[::-1] * count
    tail = max(int(min(count / 5, 3 * math.sqrt(count))), 1)
    rank = np.arange(1, count + 1)
    positive = ranked > 0
    figure = new_figure(5.6, 3.8)
    axes = figure.add_subplot()
    words = "not fitted" if math.isnan(khat) else f"{khat:.2f}"
    side = "above" if khat > threshold else "below"
    compared = "" if math.isnan(khat) else f", {side} {threshold:.2f}"
    dress(
        axes,
        title=f"k-hat {words}{compared}; largest weight of {count}: "
        f"{100 * ranked[0] / count:.2g} % of all",
        x="rank of the draw",
        y="weight, in multiples of the mean",
    )
    axes.loglog(rank[positive], ranked[positive], color=BLUE, linewidth=1.4, label="weights")
    base = ranked[min(tail, count - 1)]
    for slope, colour, label in (
        (khat, VERMILION, f"slope of k-hat {words}"),
        (threshold, GREY, f"slope of the threshold {threshold:.2f}"),
    ):
        if math.isfinite(slope) and slope > 0 and base > 0:
            along = base * (rank[:tail] / (tail + 1)) ** -slope
            axes.loglog(
                rank[:tail], along, color=colour, linewidth=1.0, linestyle=(0, (4, 3)), label=label
            )
    low = ranked[positive].min() if positive.any() else 1.0
    axes.set_ylim(max(low, 0.01) / 1.5, max(ranked[0], 1.0) * 2.0)
    add_legend(axes, loc="lower left")
    return save(figure, path)
