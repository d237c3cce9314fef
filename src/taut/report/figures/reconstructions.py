"""Reconstructions: rows beside what the model makes of their encodings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Real

from taut.core import InputError, counted
from taut.data import Kind
from taut.report.columns import most_informative
from taut.report.mosaic import as_rgb, assemble, grey_range, mosaic_figure
from taut.report.rows import checked_columns, checked_rows
from taut.report.style import BLUE, GREY, dress, few_ticks, legible, panels, save

__all__ = ["reconstructions"]

_ACROSS = 8
_MOST_IMAGES = 64
_LABELS = ("row", "reconstruction")


def reconstructions(
    path: Path | str,
    x: Real[np.ndarray, "..."],
    mean: Real[np.ndarray, "..."],
    *,
    kind: Kind,
    shape: tuple[int, ...],
    columns: Sequence[str] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Draw reconstructions.

    Arguments:
        path: PNG file to write.
        x: rows, (N, *shape); the first 64 images are shown.
        mean: their reconstructions E[x | z], (N, *shape), in the same units.
        kind: `image` or `table`.
        shape: of one row.
        columns: names of a table's columns, (D,).
        categories: for each column the names that its codes stand for, empty where it has none.

    Raises:
        InputError: arrays or names that do not fit the shape or each other.
    """
    rows = checked_rows(x, shape, where="reconstructions")
    means = checked_rows(mean, shape, where="reconstructions")
    if len(rows) != len(means):
        raise InputError(
            "one reconstruction for each row",
            f"{len(means)} for {len(rows)} rows",
            "reconstructing the rows that are shown",
            where="reconstructions",
        )
    if kind == "image":
        return _pairs(path, rows[:_MOST_IMAGES], means[:_MOST_IMAGES], shape)
    names = checked_columns(columns, shape[0], where="reconstructions")
    return _scatter(path, rows, means, names, categories or [()] * len(names))


def _pairs(
    path: Path | str,
    x: Float[np.ndarray, "N ..."],
    mean: Float[np.ndarray, "N ..."],
    shape: tuple[int, ...],
) -> Path:
    ends = grey_range(x)
    across = min(_ACROSS, len(x))
    blocks = -(-len(x) // across)
    rgb = np.stack([as_rgb(images, shape, ends) for images in (x, mean)])
    tiles = np.full((2, blocks * across, *rgb.shape[2:]), np.nan)
    tiles[:, : len(x)] = rgb
    tiles = tiles.reshape(2, blocks, across, *rgb.shape[2:]).swapaxes(0, 1)
    mosaic = assemble(
        tiles.reshape(2 * blocks, across, *rgb.shape[2:]), row_gaps=([1, 4] * blocks)[:-1]
    )
    note = "" if ends == (0.0, 1.0) else f"black is {ends[0]:.3g}, white is {ends[1]:.3g}"
    figure = mosaic_figure(
        mosaic, title="Rows and their reconstructions", note=note, row_labels=_LABELS * blocks
    )
    return save(figure, path)


def _scatter(
    path: Path | str,
    x: Float[np.ndarray, "N D"],
    mean: Float[np.ndarray, "N D"],
    names: list[str],
    categories: Sequence[Sequence[str]],
) -> Path:
    chosen = most_informative(x)
    title = f"Reconstructions of {counted(len(x), 'row')}"
    if len(chosen) < len(names):
        title += f", {len(chosen)} of {len(names)} columns"
    figure, axes = panels(len(chosen), title=title, height=1.75)
    size = float(np.clip(2000 / len(x), 3, 18))
    for ax, column in zip(axes, chosen, strict=True):
        both = np.stack([x[:, column], mean[:, column]])
        both = both[:, np.isfinite(both).all(axis=0)]
        dress(ax, title=legible(names[column]), small=True)
        low, high = _square(both)
        ax.plot([low, high], [low, high], color=GREY, linewidth=0.8)
        ax.scatter(both[0], both[1], s=size, color=BLUE, alpha=0.6, linewidth=0)
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        few_ticks(ax, names=categories[int(column)])
    figure.supxlabel("value, in the column's units", fontsize=8, color=GREY)
    figure.supylabel("reconstruction", fontsize=8, color=GREY)
    return save(figure, path)


def _square(both: Float[np.ndarray, "2 N"]) -> tuple[float, float]:
    """Common limits of both axes, with room around the values."""
    if both.size == 0:
        return 0.0, 1.0
    low, high = float(both.min()), float(both.max())
    room = 0.06 * (high - low) or max(0.5, 1e-3 * abs(high))
    return low - room, high + room
