"""Answers: rows, their reconstructions, the answers, and what changed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Real
from matplotlib.colors import to_rgb

from taut.data import Kind
from taut.report.columns import most_informative
from taut.report.mosaic import as_rgb, assemble, grey_range, mosaic_figure
from taut.report.rows import checked_columns, checked_rows
from taut.report.style import BLUE, FAINT, VERMILION, dress, few_ticks, legible, panels, save

__all__ = ["answers"]

_MOST_IMAGES = 12
_LABELS = ("row", "reconstruction", "answer", "difference")


def answers(
    path: Path | str,
    x: Real[np.ndarray, "..."],
    reconstruction: Real[np.ndarray, "..."],
    answer: Real[np.ndarray, "..."],
    reached: Bool[np.ndarray, " N"],
    *,
    kind: Kind,
    shape: tuple[int, ...],
    columns: Sequence[str] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Draw answers beside their rows.

    Arguments:
        path: PNG file to write.
        x, reconstruction, answer: (N, *shape); the first 12 images are shown.
        reached: which answers are what was asked for.
        kind: `image` or `table`.
        shape: of one row.
        columns: names of a table's columns, (D,).
        categories: for each column the names that its codes stand for, empty where it has none.
    """
    x, reconstruction, answer = (
        checked_rows(rows, shape, where="answers") for rows in (x, reconstruction, answer)
    )
    if kind == "image":
        return _images(path, x, reconstruction, answer, reached, shape)
    names = checked_columns(columns, shape[0], where="answers")
    return _changes(path, x, answer, reached, names, categories or [()] * len(names))


def _images(
    path: Path | str,
    x: Float[np.ndarray, "N ..."],
    reconstruction: Float[np.ndarray, "N ..."],
    answer: Float[np.ndarray, "N ..."],
    reached: Bool[np.ndarray, " N"],
    shape: tuple[int, ...],
) -> Path:
    shown = slice(min(len(x), _MOST_IMAGES))
    ends = grey_range(x)
    grey = [as_rgb(images[shown], shape, ends) for images in (x, reconstruction, answer)]
    mosaic = assemble(
        np.stack([*grey, _signed(answer[shown] - reconstruction[shown], shape)]), row_gaps=(1, 1, 4)
    )
    figure = mosaic_figure(
        mosaic, title="Rows and what would have to change",
        note="difference of answer and reconstruction: orange is more, blue is less",
        row_labels=_LABELS, column_labels=["" if r else "no answer" for r in reached[shown]],
    )  # fmt: skip
    return save(figure, path)


def _signed(
    difference: Float[np.ndarray, "N ..."], shape: tuple[int, ...]
) -> Float[np.ndarray, "N H W 3"]:
    """Differences on white, each image to its own largest."""
    if len(shape) == 3:
        difference = difference.mean(axis=-1)
    largest = np.abs(difference).max(axis=(1, 2), keepdims=True)
    share = (difference / np.where(largest > 0, largest, 1.0))[..., None]
    more, less = np.asarray(to_rgb(VERMILION)), np.asarray(to_rgb(BLUE))
    return 1 - np.abs(share) * (1 - np.where(share > 0, more, less))


def _changes(
    path: Path | str,
    x: Float[np.ndarray, "N D"],
    answer: Float[np.ndarray, "N D"],
    reached: Bool[np.ndarray, " N"],
    names: list[str],
    categories: Sequence[Sequence[str]],
) -> Path:
    chosen = most_informative(np.concatenate([x, answer]))
    figure, axes = panels(
        len(chosen), title="Rows and what would have to change; orange: no answer", height=1.75
    )
    for ax, column in zip(axes, chosen, strict=True):
        dress(ax, title=legible(names[column]), small=True)
        both = np.stack([x[:, column], answer[:, column]])
        low, high = float(np.nanmin(both)), float(np.nanmax(both))
        ax.plot([low, high], [low, high], color=FAINT, linewidth=0.8)
        for kept, color in ((reached, BLUE), (~reached, VERMILION)):
            ax.scatter(both[0, kept], both[1, kept], s=12, color=color, alpha=0.7, linewidth=0)
        few_ticks(ax, names=categories[int(column)])
    figure.supxlabel("value, in the column's units", fontsize=8)
    figure.supylabel("answer", fontsize=8)
    return save(figure, path)
