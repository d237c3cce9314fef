"""The ways from rows to answers, as strips of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Real

from taut.report.mosaic import as_rgb, assemble, grey_range, mosaic_figure
from taut.report.rows import checked_rows
from taut.report.style import save

__all__ = ["path_strip"]

_MOST_POINTS, _MOST_STRIPS = 10, 8


def path_strip(
    path: Path | str, ways: Sequence[Real[np.ndarray, "..."]], *, shape: tuple[int, ...]
) -> Path:
    """Draw images at even distances along the ways from rows to answers.

    Arguments:
        path: PNG file to write.
        ways: points of each way, (T, *shape); the first 8 ways are shown.
        shape: of one image.
    """
    ways = [checked_rows(way, shape, where="path") for way in ways[:_MOST_STRIPS]]
    ends = grey_range(np.concatenate([way[:1] for way in ways]))
    tiles = np.stack([as_rgb(_evenly(way), shape, ends) for way in ways])
    places = np.linspace(0, 1, _MOST_POINTS)
    figure = mosaic_figure(
        assemble(tiles), title="The ways from rows to answers",
        note="numbers: share of the way in x", column_labels=[f"{p:.2g}" for p in places],
    )  # fmt: skip
    return save(figure, path)


def _evenly(way: Float[np.ndarray, "T ..."]) -> Float[np.ndarray, "P ..."]:
    """The points of a way nearest to even shares of its length."""
    lengths = np.linalg.norm(np.diff(way.reshape(len(way), -1), axis=0), axis=1)
    at = np.append(0.0, np.cumsum(lengths))
    wanted = np.linspace(0, at[-1], _MOST_POINTS)
    return way[np.abs(at[:, None] - wanted).argmin(axis=0)]
