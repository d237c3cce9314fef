"""The table coordinates.csv of a posterior: moments of each coordinate, under guide and weights."""

from collections.abc import Sequence

from taut.evidence import PosteriorMoments

__all__ = ["coordinate_columns"]


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
