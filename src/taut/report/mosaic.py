"""Many small images as one array of pixels.

Every image is enlarged by a whole factor and the array is drawn one to one, so that cells stay sharp
squares; images too large for their place are averaged over blocks instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from taut.report.style import DPI, FONT, GREY, INK, SMALL, TITLE, legible, new_figure

__all__ = ["Mosaic", "as_rgb", "assemble", "averaged", "grey_range", "mosaic_figure"]

_MISSING = (0.75, 0.86, 0.95)  # no grey, so that it cannot be taken for a value
_WIDTH = 1280  # pixels that a full row of images may take
_LARGEST, _SMALLEST = 150, 24  # pixels of one image's longer side
_THINNEST = 12  # pixels of its shorter side
_GAP = 6
_MARGIN = 30


class Mosaic(NamedTuple):
    """Images side by side on white.

    Attributes:
        pixels: (H, W, 3), each in [0, 1].
        rows: vertical centre of each row of images, pixels from the top.
        columns: horizontal centre of each column, pixels from the left.
    """

    pixels: Float[np.ndarray, "H W 3"]
    rows: list[float]
    columns: list[float]


def grey_range(x: Float[np.ndarray, "..."]) -> tuple[float, float]:
    """The values drawn black and white: 0 and 1 where all lie between, else the extremes."""
    finite = x[np.isfinite(x)]
    if finite.size == 0 or (finite.min() >= 0 and finite.max() <= 1):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def as_rgb(
    x: Float[np.ndarray, "..."], shape: tuple[int, ...], ends: tuple[float, float]
) -> Float[np.ndarray, "... H W 3"]:
    """Images as colours: three channels as they are, one as grey, any other number by its mean.

    Arguments:
        x: images, (..., *shape); NaN where nothing was observed.
        shape: (H, W) or (H, W, C).
        ends: values drawn black and white.
    """
    if len(shape) == 2:
        x = x[..., None]
    elif shape[2] != 3:
        x = x.mean(axis=-1, keepdims=True)
    low, high = ends
    rgb = np.clip((x - low) / (high - low), 0.0, 1.0)
    rgb = np.broadcast_to(rgb, (*rgb.shape[:-1], 3))
    return np.where(np.isnan(rgb).any(axis=-1, keepdims=True), np.asarray(_MISSING), rgb)


def assemble(
    tiles: Float[np.ndarray, "R C H W 3"],
    *,
    row_gaps: Sequence[int] | None = None,
    column_gaps: Sequence[int] | None = None,
) -> Mosaic:
    """Lay images out in a grid.

    Arguments:
        tiles: rows and columns of images; an image that is NaN leaves its place white.
        row_gaps: white between successive rows in units of the usual gap, (R - 1,).
        column_gaps: likewise between columns, (C - 1,).
    """
    down, across = tiles.shape[:2]
    side = min(max(_WIDTH // across, _SMALLEST), _LARGEST)
    tiles = _resized(tiles, side)
    height, width = tiles.shape[2:4]
    tops = _starts(down, height, row_gaps)
    lefts = _starts(across, width, column_gaps)
    pixels = np.ones((tops[-1] + height, lefts[-1] + width, 3))
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            pixels[top : top + height, left : left + width] = np.nan_to_num(tiles[i, j], nan=1.0)
    return Mosaic(pixels, [t + height / 2 for t in tops], [left + width / 2 for left in lefts])


def mosaic_figure(
    mosaic: Mosaic,
    *,
    title: str,
    note: str = "",
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
) -> Figure:
    """A figure that shows a mosaic pixel by pixel, with a title, a note and labels."""
    height, width, _ = mosaic.pixels.shape
    left = _MARGIN + 13.0 * max(map(len, row_labels), default=0)
    above = 60.0 + (34 if note else 0) + (34 if column_labels else 0)
    longest = max(len(title) * TITLE * 1.75, len(note) * SMALL * 1.75)
    total_width = left + max(width, int(longest)) + _MARGIN
    total_height = above + height + _MARGIN
    figure = new_figure(total_width / DPI, total_height / DPI, constrained=False)

    def write(x: float, y: float, text: str, **options: object) -> None:
        look = {"fontfamily": FONT, "parse_math": False, "color": INK, "fontsize": SMALL}
        figure.text(
            x / total_width, 1 - y / total_height, legible(text, 120), **{**look, **options}
        )

    write(left, 34.0, title, fontsize=TITLE, va="center")
    if note:
        write(left, 72.0, note, color=GREY, va="center")
    for label, centre in zip(column_labels, mosaic.columns, strict=False):
        write(left + centre, above - 10, label, ha="center", va="baseline")
    for label, centre in zip(row_labels, mosaic.rows, strict=False):
        write(left - 12, above + centre, label, ha="right", va="center")
    axes = figure.add_axes(
        (left / total_width, _MARGIN / total_height, width / total_width, height / total_height)
    )
    axes.imshow(mosaic.pixels, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return figure


def _starts(count: int, size: int, gaps: Sequence[int] | None) -> list[int]:
    starts = [0]
    for gap in [1] * (count - 1) if gaps is None else gaps:
        starts.append(starts[-1] + size + gap * _GAP)
    return starts


def _resized(tiles: Float[np.ndarray, "R C H W 3"], side: int) -> np.ndarray:
    longest = max(tiles.shape[2:4])
    if longest > 1.5 * side:
        tiles = averaged(tiles, -(-longest // side))
        longest = max(tiles.shape[2:4])
    factor = max(side // longest, 1)
    for axis in (2, 3):
        # A side of one or two cells is widened further: a line of one pixel cannot be seen.
        times = max(factor, -(-_THINNEST // tiles.shape[axis]))
        tiles = np.repeat(tiles, times, axis=axis)
    return tiles


def averaged(tiles: np.ndarray, block: int) -> np.ndarray:
    """Means over block x block cells, the last block filled up with the last cell."""
    for axis in (2, 3):
        short = -tiles.shape[axis] % block
        padding = [(0, short if a == axis else 0) for a in range(tiles.ndim)]
        tiles = np.pad(tiles, padding, mode="edge")
        shape = tiles.shape
        tiles = tiles.reshape(*shape[:axis], -1, block, *shape[axis + 1 :]).mean(axis=axis + 1)
    return tiles
