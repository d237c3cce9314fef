"""Pairs of coordinates of a posterior: weighted draws, and the guide beside them on the diagonal."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Real

from taut.core import InputError, counted
from taut.report.style import (
    BLUE,
    SMALL,
    VERMILION,
    add_legend,
    dress,
    few_ticks,
    headline,
    legible,
    new_figure,
    save,
)

__all__ = ["pairs"]

_MOST = 6  # coordinates; of more, those where guide and draws differ most are drawn
_LETTERS = 10  # of a name that leave room for the power of ten beside an axis
_POINTS = 1000
_BINS = 30
_REACH = 0.002  # share of the mass left out at each end of an axis


def pairs(
    path: Path | str,
    values: Real[np.ndarray, "K C"],
    weights: Real[np.ndarray, " K"],
    guide: Real[np.ndarray, "N C"],
    names: Sequence[str],
) -> Path:
    """Draw at most six coordinates against each other.

    Arguments:
        path: PNG file to write.
        values: draws in natural units, (K, C).
        weights: of the draws, adding up to 1, (K,).
        guide: draws of the guide alone, (N, C).
        names: of the coordinates, C.

    Raises:
        InputError: no coordinate, or not as many names.
    """
    values, guide = np.asarray(values, np.float64), np.asarray(guide, np.float64)
    if values.ndim != 2 or values.shape[1] == 0 or len(names) != values.shape[1]:
        raise InputError(
            "at least one coordinate with its name",
            f"draws of shape {values.shape} and {len(names)} names",
            "draws of shape (K, C)",
            where="pairs",
        )
    generator = np.random.default_rng(0)
    chosen = [int(c) for c in _chosen(values, weights, guide)]
    shown = values[generator.choice(len(values), _POINTS, p=weights)]
    count = len(chosen)
    figure = new_figure(max(1.3 * count + 1.0, 4.2), max(1.2 * count + 1.0, 3.6))
    left_out = values.shape[1] - count
    headline(
        figure,
        f"Posterior of {counted(values.shape[1], 'coordinate')}"
        + (f", {left_out} of them not shown" if left_out else ""),
    )
    axes = figure.subplots(count, count, squeeze=False)
    limits = [_limits(values[:, c], weights) for c in chosen]
    for i, row in enumerate(chosen):
        for j, column in enumerate(chosen):
            here = axes[i, j]
            if j > i:
                here.set_axis_off()
                continue
            outer = {
                "x": legible(names[column], _LETTERS) if i == count - 1 else "",
                "y": legible(names[row], _LETTERS) if j == 0 and i > 0 else "",
            }
            dress(here, small=True, **outer)
            few_ticks(here)
            here.set_xlim(limits[j])
            here.tick_params(labelbottom=i == count - 1, labelleft=j == 0 and i > 0)
            if i == j:
                edges = np.linspace(*limits[j], _BINS + 1)
                _bars(here, values[:, row], edges, weights, BLUE, "resampled", fill=True)
                _bars(here, guide[:, row], edges, None, VERMILION, "guide", fill=False)
                here.set_yticks([])
            else:
                here.set_ylim(limits[i])
                look = {"s": 4.0, "linewidth": 0, "alpha": 0.35, "color": BLUE}
                here.scatter(shown[:, column], shown[:, row], **look)
    add_legend(
        figure, handles=axes[0, 0].get_legend_handles_labels()[0], loc="outside lower center",
        ncols=2, prop={"size": SMALL},
    )  # fmt: skip
    return save(figure, path)


def _bars(axes, x, edges, weights, colour: str, label: str, *, fill: bool) -> None:
    share = np.full(len(x), 1 / len(x)) if weights is None else weights
    heights = np.histogram(x, edges, weights=share)[0]
    look = {"alpha": 0.35} if fill else {"linewidth": 1.2}
    axes.stairs(heights, edges, fill=fill, color=colour, label=label, **look)


def _chosen(values: np.ndarray, weights: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """All coordinates, or the six of the largest difference between draws and guide."""
    if values.shape[1] <= _MOST:
        return np.arange(values.shape[1])
    mean = weights @ values
    sd = np.sqrt(weights @ (values - mean) ** 2)
    scale = np.where(sd > 0, sd, 1.0)
    apart = np.abs(guide.mean(axis=0) - mean) / scale + np.abs(guide.std(axis=0) / scale - 1)
    return np.sort(np.argsort(-apart, kind="stable")[:_MOST])


def _limits(x: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    order = np.argsort(x)
    mass = np.cumsum(weights[order])
    low, high = np.interp([_REACH, 1 - _REACH], mass, x[order])
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room
