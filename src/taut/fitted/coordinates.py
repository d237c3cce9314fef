"""The table coordinates.csv of a posterior: moments of each coordinate, under guide and weights."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taut.evidence import PosteriorMoments
from taut.runs import read_structure, reading

__all__ = ["coordinate_columns", "read_coordinates"]


def coordinate_columns(
    names: Sequence[str], raw: PosteriorMoments, resampled: PosteriorMoments
) -> dict[str, list[str] | list[float]]:
    """Moments by coordinate, as coordinates.csv holds them.

    Arguments:
        names: of C coordinates.
        raw: under the guide.
        resampled: under the importance weights.
    """
    columns: dict[str, list[str] | list[float]] = {"coordinate": list(names)}
    for kind, moments in (("guide", raw), ("resampled", resampled)):
        columns |= {
            f"{kind}_mean": moments.mean.tolist(),
            f"{kind}_mean_error": moments.mean_error.tolist(),
            f"{kind}_sd": moments.sd.tolist(),
            f"{kind}_sd_error": moments.sd_error.tolist(),
        }
        for j, p in enumerate(moments.probabilities):
            columns[f"{kind}_q{100 * p:g}"] = moments.quantiles[:, j].tolist()
            columns[f"{kind}_q{100 * p:g}_error"] = moments.quantile_errors[:, j].tolist()
    return columns


def read_coordinates(run: Path, num_latents: int) -> dict[str, list[Any]]:
    """The columns of coordinates.csv by name: of the latents, then of values that are derived of them.

    Arguments:
        run: folder of a posterior, whose model.json names the derived values.
        num_latents: coordinates of latents.

    Raises:
        InputError: a file is not there, or is not what taut wrote.
    """
    structure = read_structure(run)["architecture"]
    with reading(run / "model.json"):
        derived = structure.get("derived", ())
        count = num_latents + sum(math.prod(map(int, value["shape"])) for value in derived)
    path = run / "coordinates.csv"
    with reading(path):
        with path.open(newline="", encoding="utf-8") as file:
            try:
                names, *lines = list(csv.reader(file)) or [[]]
            except csv.Error as error:
                raise ValueError(str(error)) from error
        if len(lines) != count:
            raise ValueError(f"{len(lines)} lines for {count} coordinates")
        if not {"coordinate", "guide_mean", "resampled_mean"} <= set(names):
            raise ValueError("other columns")
        cells = dict(zip(names, zip(*lines, strict=True), strict=True))
        return {
            name: list(own) if name == "coordinate" else [float(cell) for cell in own]
            for name, own in cells.items()
        }
