"""Interpolations: what the model makes of the points on a line between two encodings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Real

from taut.core import InputError
from taut.data import Kind
from taut.report.columns import most_informative
from taut.report.mosaic import as_rgb, assemble, grey_range, mosaic_figure
from taut.report.rows import checked_columns, checked_rows
from taut.report.style import CLASSES, GREY, dress, few_ticks, legible, panels, save

__all__ = ["interpolation"]

_MOST_LINES = 12
_MOST_POINTS = 12
_TITLE = "Decoded points on the line between the encodings of two rows, a and b"


def interpolation(
    path: Path | str,
    steps: Real[np.ndarray, "..."],
    *,
    kind: Kind,
    shape: tuple[int, ...],
    ends: Real[np.ndarray, "..."] | None = None,
    columns: Sequence[str] | None = None,
    categories: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Draw interpolations.

    Arguments:
        path: PNG file to write.
        steps: decoded points, (L, n, *shape), for each of L lines from its first to its last point;
            12 lines are shown, and 12 of a line's images.
        kind: `image` or `table`.
        shape: of one row.
        ends: the two rows that each line runs between, (L, 2, *shape).
        columns: names of a table's columns, (D,).
        categories: for each column the names that its codes stand for, empty where it has none.

    Raises:
        InputError: arrays or names that do not fit the shape or each other.
    """
    lines = checked_rows(steps, shape, leading=2, where="interpolation")[:_MOST_LINES]
    rows = None
    if ends is not None:
        rows = checked_rows(ends, shape, leading=2, where="interpolation, ends")
        if rows.shape[:2] != (np.shape(steps)[0], 2):
            raise InputError(
                f"two ends for each of {np.shape(steps)[0]} lines",
                f"ends of shape {rows.shape}",
                "an array of shape (lines, 2, *shape)",
                where="interpolation",
            )
        rows = rows[:_MOST_LINES]
    if kind == "image":
        return _morphs(path, lines, rows, shape)
    names = checked_columns(columns, shape[0], where="interpolation")
    return _curves(path, lines, rows, names, categories or [()] * len(names))


def _morphs(
    path: Path | str,
    lines: Float[np.ndarray, "L n ..."],
    ends: Float[np.ndarray, "L 2 ..."] | None,
    shape: tuple[int, ...],
) -> Path:
    count = lines.shape[1]
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int))
    labels = [f"{place:.2g}" for place in shown / max(count - 1, 1)]
    scale = grey_range(lines if ends is None else ends)
    tiles = as_rgb(lines[:, shown], shape, scale)
    gaps = [1] * (len(shown) - 1)
    if ends is not None:
        first, last = np.split(as_rgb(ends, shape, scale), 2, axis=1)
        tiles = np.concatenate([first, tiles, last], axis=1)
        gaps = [4, *gaps, 4]
        labels = ["row a", *labels, "row b"]
    figure = mosaic_figure(
        assemble(tiles, column_gaps=gaps),
        title=_TITLE,
        note="numbers: share of the way from a to b",
        column_labels=labels,
    )
    return save(figure, path)


def _curves(
    path: Path | str,
    lines: Float[np.ndarray, "L n D"],
    ends: Float[np.ndarray, "L 2 D"] | None,
    names: list[str],
    categories: Sequence[Sequence[str]],
) -> Path:
    chosen = most_informative(lines.reshape(-1, lines.shape[-1]))
    title = f"{_TITLE}; dots: the rows" if ends is not None else _TITLE
    figure, axes = panels(len(chosen), title=title)
    way = np.linspace(0.0, 1.0, lines.shape[1])
    for ax, column in zip(axes, chosen, strict=True):
        dress(ax, title=legible(names[column]), small=True)
        for i, line in enumerate(lines[:, :, column]):
            look = {"color": CLASSES[i], "markersize": 3.2, "linewidth": 1.2}
            ax.plot(way, line, marker="." if len(way) == 1 else None, **look)
            if ends is not None:
                ax.plot([0.0, 1.0], ends[i, :, column], linestyle="none", marker="o", **look)
        ax.set_xlim(-0.06, 1.06)
        ax.set_xticks([0.0, 0.5, 1.0], ["a", "½", "b"])
        few_ticks(ax, axis="y", names=categories[int(column)])
    figure.supxlabel("share of the way from the encoding of a to that of b", fontsize=8, color=GREY)
    figure.supylabel("E[x | z], in the column's units", fontsize=8, color=GREY)
    return save(figure, path)
