"""Gradient estimators: variance against time, where the lower left is better."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FormatStrFormatter

from taut.core import InputError
from taut.report.style import BLUE, GREY, INK, SMALL, VERMILION, add_legend, dress, new_figure, save

__all__ = ["gradients"]


def gradients(
    path: Path | str,
    names: Sequence[str],
    milliseconds: Sequence[float],
    variances: Sequence[float],
    variance_errors: Sequence[float],
    biased: Sequence[bool],
    *,
    group: str,
) -> Path:
    """Draw one point an estimator, with lines along which variance x time is equal.

    Arguments:
        path: PNG file to write.
        names: of the estimators.
        milliseconds: of a gradient.
        variances: trace of the covariance; those that are 0 are named rather than drawn.
        variance_errors: their standard errors.
        biased: whether a bias was measured.
        group: of parameters, for the title.

    Raises:
        InputError: no estimator.
    """
    if not names:
        raise InputError("at least one estimator", "none", "another bound", where="gradients")
    times, spread, errors = (
        np.asarray(v, float) for v in (milliseconds, variances, variance_errors)
    )
    drawn, off = spread > 0, np.asarray(biased, bool)
    figure = new_figure(5.6, 4.0)
    axes = figure.add_subplot()
    dress(
        axes,
        title=f"Gradient in the {group}'s parameters",
        x="milliseconds a gradient",
        y="variance over draws",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        which(FormatStrFormatter("%.3g"))
    axes.tick_params(axis="x", which="minor", labelsize=SMALL - 1, labelcolor=INK)
    for chosen, colour, label in (
        (drawn & ~off, BLUE, "no bias measured"),
        (drawn & off, VERMILION, "biased"),
    ):
        if chosen.any():
            axes.errorbar(
                times[chosen], spread[chosen], errors[chosen], color=colour, label=label,
                linestyle="none", marker="o", markersize=4.5, elinewidth=0.8,
            )  # fmt: skip
    for i in np.flatnonzero(drawn).tolist():
        axes.annotate(
            names[i], (times[i], spread[i]), xytext=(5, 4), textcoords="offset points",
            fontsize=8, color=INK,
        )  # fmt: skip
    if drawn.any():
        across = _around(times[drawn], 0.35)
        axes.set_xlim(*across)
        axes.set_ylim(*_around(spread[drawn], 0.15))
        for product in np.unique(np.round(np.log10(times[drawn] * spread[drawn]))):
            axes.plot(
                across, 10.0**product / across, color=GREY, linewidth=0.6, linestyle=(0, (4, 3))
            )
    still = [name for name, there in zip(names, drawn, strict=True) if not there]
    if still:
        axes.text(
            0.02, 0.02, f"without variance: {', '.join(still)}", transform=axes.transAxes,
            fontsize=8, color=INK,
        )  # fmt: skip
    if drawn.any():
        add_legend(
            figure, loc="outside lower center", ncols=2, title="dashed: equal variance x time"
        )
    return save(figure, path)


def _around(values: np.ndarray, margin: float) -> np.ndarray:
    """Limits of a logarithmic axis, with a margin that one value alone has too."""
    low, high = float(values.min()), float(values.max())
    room = max((high / low) ** margin, 1.5)
    return np.array([low / room, high * room])
