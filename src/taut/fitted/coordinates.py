"""The table coordinates.csv of a posterior: moments of each coordinate, under guide and weights."""

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
    import polars as pl

    structure = read_structure(run)["architecture"]
    with reading(run / "model.json"):
        derived = structure.get("derived", ())
        count = num_latents + sum(math.prod(map(int, value["shape"])) for value in derived)
    path = run / "coordinates.csv"
    with reading(path):
        try:
            table = pl.read_csv(path, infer_schema_length=None)
        except pl.exceptions.PolarsError as error:
            raise ValueError(str(error)) from error
        if len(table) != count:
            raise ValueError(f"{len(table)} lines for {count} coordinates")
        if "coordinate" not in table.columns:
            raise ValueError("other columns")
        table = table.with_columns(pl.col("coordinate").cast(pl.String))
        numbers = [name for name in table.columns if name != "coordinate"]
        if not all(table[name].dtype.is_numeric() for name in numbers):
            raise ValueError("text where numbers belong")
        if not {"guide_mean", "resampled_mean"} <= set(numbers):
            raise ValueError("other columns")
        return table.to_dict(as_series=False)
