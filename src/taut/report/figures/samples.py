"""Samples of a model: a grid of images, or the marginals of a table's columns beside the data's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes

from taut.data import Kind
from taut.report.columns import most_informative, shared_edges
from taut.report.mosaic import as_rgb, assemble, grey_range, mosaic_figure
from taut.report.rows import checked_columns, checked_rows
from taut.report.style import BLUE, FAINT, GREY, SMALL, dress, few_ticks, legible, panels, save

__all__ = ["samples"]

_ACROSS = 8
_MOST_IMAGES = 128
_MOST_OUTSIDE = 0.02


def samples(
    path: Path | str,
    x: Real[np.ndarray, "..."],
    *,
    kind: Kind,
    shape: tuple[int, ...],
    columns: Sequence[str] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
    data: Real[np.ndarray, "..."] | None = None,
) -> Path:
    """Draw samples.

    Arguments:
        path: PNG file to write.
        x: samples, (N, *shape), in the data's units; the first 128 images are shown.
        kind: `image` or `table`.
        shape: of one row.
        columns: names of a table's columns, (D,).
        categories: for each column the names that its codes stand for, empty where it has none.
        data: rows of the data, (M, *shape), whose marginals are shown with those of a table.

    Raises:
        InputError: arrays or names that do not fit the shape.
    """
    rows = checked_rows(x, shape, where="samples")
    if kind == "image":
        return _grid(path, rows, shape)
    names = checked_columns(columns, shape[0], where="samples")
    reference = None if data is None else checked_rows(data, shape, where="samples, data")
    return _marginals(path, rows, reference, names, categories or [()] * len(names))


def _grid(path: Path | str, x: Float[np.ndarray, "N ..."], shape: tuple[int, ...]) -> Path:
    shown = x[:_MOST_IMAGES]
    ends = grey_range(shown)
    rgb = as_rgb(shown, shape, ends)
    across = min(_ACROSS, len(rgb))
    down = -(-len(rgb) // across)
    tiles = np.full((down * across, *rgb.shape[1:]), np.nan)
    tiles[: len(rgb)] = rgb
    mosaic = assemble(tiles.reshape(down, across, *rgb.shape[1:]))
    title = "Samples of the model"
    if len(shown) < len(x):
        title = f"Samples of the model, the first {len(shown)} of {len(x)}"
    note = "draws of x; reconstructions show means"
    if ends != (0.0, 1.0):
        note += f"; black is {ends[0]:.3g}, white is {ends[1]:.3g}"
    return save(mosaic_figure(mosaic, title=title, note=note), path)


def _marginals(
    path: Path | str,
    x: Float[np.ndarray, "N D"],
    data: Float[np.ndarray, "M D"] | None,
    names: list[str],
    categories: Sequence[Sequence[str]],
) -> Path:
    reference = x if data is None else data
    chosen = most_informative(reference)
    title = "Marginals of samples"
    if data is not None:
        title += " (line) and of the data (grey)"
    if len(chosen) < len(names):
        title += f", {len(chosen)} of {len(names)} columns"
    figure, axes = panels(len(chosen), title=title)
    for ax, column in zip(axes, chosen, strict=True):
        edges = shared_edges(reference[:, column])
        dress(ax, title=legible(names[column]), small=True)
        if data is not None:
            ax.stairs(_shares(data[:, column], edges), edges, fill=True, color=FAINT)
        ax.stairs(_shares(x[:, column], edges), edges, color=BLUE, linewidth=1.2)
        ax.set_ylim(bottom=0)
        _tell_outside(ax, x[:, column], edges)
        few_ticks(ax, axis="x", names=categories[int(column)])
        few_ticks(ax, axis="y")
    figure.supxlabel("value, in the column's units", fontsize=8, color=GREY)
    figure.supylabel("share of rows in a bin", fontsize=8, color=GREY)
    return save(figure, path)


def _tell_outside(axes: Axes, values: Float[np.ndarray, " N"], edges: np.ndarray) -> None:
    """Say how many samples lie outside the bins, which span the data, where they are not a few."""
    outside = 1.0 - _shares(values, edges).sum()
    if np.isfinite(values).any() and outside > _MOST_OUTSIDE:
        axes.text(
            0.97, 0.95, f"{100 * outside:.0f} % beyond", transform=axes.transAxes, ha="right",
            va="top", fontsize=SMALL - 1, color=BLUE,
        )  # fmt: skip


def _shares(values: Float[np.ndarray, " N"], edges: Float[np.ndarray, " E"]) -> np.ndarray:
    """Share of the known values in each bin; values beyond the edges belong to no bin."""
    known = values[np.isfinite(values)]
    return np.histogram(known, edges)[0] / max(known.size, 1)
