"""Pareto k-hats of all rows, sorted, against the threshold above which a row cannot be trusted."""

from pathlib import Path

import numpy as np
from jaxtyping import Real
from matplotlib.ticker import MaxNLocator

from taut.core import InputError, counted
from taut.report.style import BLUE, GREY, INK, VERMILION, add_legend, dress, new_figure, save

__all__ = ["khat"]


def khat(path: Path | str, khat: Real[np.ndarray, "..."], threshold: float) -> Path:
    """Draw sorted k-hats.

    Arguments:
        path: PNG file to write.
        khat: Pareto shape of each row's log-weights, (N,); NaN where none was fitted, -inf where
            the weights are constant, and both are counted rather than drawn.
        threshold: above it a row's evidence estimate cannot be trusted.

    Raises:
        InputError: no row.
    """
    values = np.asarray(khat, np.float64).reshape(-1)
    if values.size == 0:
        raise InputError("at least one row", "none", "evaluating some rows", where="k-hat")
    finite = np.sort(values[np.isfinite(values)])
    above = int(np.sum(values > threshold))
    unknown = np.isnan(values).all()
    share = "an unknown share" if unknown else f"{100 * above / values.size:.1f} %"
    figure = new_figure(5.2, 3.6)
    axes = figure.add_subplot()
    dress(
        axes,
        title=f"k-hat of {counted(values.size, 'row')}, {share} above {threshold:.2f}",
        x="row, sorted by k-hat",
        y="Pareto k-hat",
    )
    rank = np.arange(1, finite.size + 1)
    high = finite > threshold
    for chosen, colour, label in (
        (~high, BLUE, "reliable"),
        (high, VERMILION, "not to be trusted"),
    ):
        if chosen.any():
            look = {"linestyle": "none", "marker": "o", "markersize": 3.0, "markeredgewidth": 0}
            axes.plot(rank[chosen], finite[chosen], color=colour, label=label, **look)
    axes.axhline(threshold, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), label="threshold")
    axes.margins(y=0.12)
    if finite.size == 0:
        axes.set_ylim(0.0, 1.0)
    axes.set_xlim(0, max(finite.size, 1) * 1.02 + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.text(
        0.98, 0.03, _left_out(values), transform=axes.transAxes, ha="right", va="bottom",
        fontsize=8, color=INK,
    )  # fmt: skip
    add_legend(axes, loc="upper left")
    return save(figure, path)


def _left_out(values: np.ndarray) -> str:
    """What the points do not show, in words."""
    counts = {
        "without k-hat (too few draws)": int(np.isnan(values).sum()),
        "of weights without a tail": int(np.isneginf(values).sum()),
        "infinite": int(np.isposinf(values).sum()),
    }
    return "\n".join(f"{counted(n, 'row')} {what}" for what, n in counts.items() if n)
