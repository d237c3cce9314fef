"""k-means: seeds that lie apart, moved to the means of the rows that are nearest to them.

    owner_n = argmin_k |x_n - c_k|^2,        c_k <- mean of the rows that k owns

k-means++ draws each seed with probability proportional to the squared distance to the nearest seed so
far, and keeps the best of 2 + log K such draws (Arthur and Vassilvitskii 2007); Lloyd's iterations never
raise the scatter about the means. Of several seedings, that with the least scatter after a few
iterations goes on to the end: most of what tells them apart is decided by then, and most of the
iterations, in which few rows change their owner, come later. Of many rows a random part decides, which
holds hundreds of each cluster, and the iterations of all rows end when one row in a thousand changes.

NaN is a missing cell. It stands at the mean of its column among the rows that have it, and from then on
at the center of its row's owner, so that it adds nothing to the scatter, which still never rises (Chi,
Chi and Baraniuk 2016).
"""

import math
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from threadpoolctl import ThreadpoolController

from taut.core import InputError, option

__all__ = ["Clusters", "kmeans", "kmeans_plus_plus", "lloyd"]

_SEEDINGS = 4
_RACED = 8  # iterations, after which the seedings are ranked
_LLOYD = 100  # iterations of the one that goes on, which seldom needs a third of them
_MANY = 100  # clusters: from here on seedings are alike, and one is enough, with few iterations
_SEEDING = 200  # rows for each cluster, which are raced by themselves; 4,096 at least
_MORE = 6  # seedings of these: each is a quarter of the work or less


class Clusters(NamedTuple):
    """Rows shared out among centers.

    Attributes:
        owner: the center that owns each row, (N,).
        centers: the means of the rows that each owns, (K, D); one without rows stays where it was.
        scatter: sum of the squared distances of the rows from the centers of their owners.
    """

    owner: Int[np.ndarray, " N"]
    centers: Float[np.ndarray, "K D"]
    scatter: float


def kmeans(
    x: Float[np.ndarray, "N D"],
    num_clusters: int,
    generator: np.random.Generator,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Int[np.ndarray, " N"]:
    """The cluster of each row, (N,); rows count as often as their weight says, once when None.

    Raises:
        InputError: fewer than K distinct rows.
    """
    missing = np.isnan(x) if np.isnan(x).any() else None
    if missing is not None:
        parts = (~missing, np.where(missing, 0.0, x))
        count, sums = (p.sum(axis=0) if weight is None else weight @ p for p in parts)
        known = sums / np.where(count > 0, count, 1)
        x = np.where(missing, known, x)
    # On products as small as these, the threads of a BLAS cost more than they share.
    with _libraries().limit(limits=1, user_api="blas"):
        if num_clusters >= _MANY:
            seeds = kmeans_plus_plus(x, num_clusters, generator, trials=1, weight=weight)
            return lloyd(x, x[seeds], missing, most=_RACED, weight=weight).owner
        centers, enough = None, max(_SEEDING * num_clusters, 4096)
        if len(x) > enough:
            some = generator.choice(len(x), enough, replace=False)
            holes, counts = (None if part is None else part[some] for part in (missing, weight))
            with suppress(InputError):  # it has too few distinct rows, and all rows may have enough
                centers = _best_seeding(x[some], num_clusters, generator, holes, counts, _MORE)
        if centers is None:
            centers = _best_seeding(x, num_clusters, generator, missing, weight)
        settled = len(x) // 1000 if len(x) > enough else 0
        return lloyd(x, centers, missing, settled=settled, weight=weight).owner


def _best_seeding(
    x: Float[np.ndarray, "N D"],
    num_clusters: int,
    generator: np.random.Generator,
    missing: Bool[np.ndarray, "N D"] | None,
    weight: Float[np.ndarray, " N"] | None,
    seedings: int = _SEEDINGS,
) -> Float[np.ndarray, "K D"]:
    """The centers that a few iterations leave of several seedings, with the least scatter."""
    raced = (
        lloyd(
            x, x[kmeans_plus_plus(x, num_clusters, generator, weight=weight)], missing,
            most=_RACED, weight=weight,
        )
        for _ in range(seedings)
    )  # fmt: skip
    return min(raced, key=lambda found: found.scatter).centers


@cache
def _libraries() -> ThreadpoolController:
    """That of NumPy; finding it takes as long as clustering a thousand rows."""
    return ThreadpoolController()


def lloyd(
    x: Float[np.ndarray, "N D"],
    centers: Float[np.ndarray, "K D"],
    missing: Bool[np.ndarray, "N D"] | None = None,
    *,
    most: int = _LLOYD,
    settled: int = 0,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Clusters:
    """k-means from these centers, until no row changes its owner.

    Arguments:
        x, centers: rows, and the means that they begin with.
        missing: cells whose value follows the row's owner.
        most: iterations at most.
        settled: rows that may still change their owner.
        weight: how often each row counts; once when None.
    """
    columns, number = np.ascontiguousarray(x.T), len(centers)
    owner = np.full(len(x), -1)
    for _ in range(most):
        # The nearest mean has the least |c|^2 / 2 - x c.
        nearest = np.argmin(0.5 * np.sum(centers**2, axis=1)[:, None] - centers @ columns, axis=0)
        if np.count_nonzero(nearest != owner) <= settled:
            break
        owner = nearest
        if missing is not None:
            x = np.where(missing, centers[owner], x)
            columns = np.ascontiguousarray(x.T)
        count = np.bincount(owner, weight, number)[:, None]
        weighted = columns if weight is None else columns * weight
        sums = np.stack([np.bincount(owner, cells, number) for cells in weighted], axis=1)
        centers = np.where(count > 0, sums / np.where(count > 0, count, 1), centers)
    apart = (x - centers[owner]) ** 2
    return Clusters(owner, centers, float(np.sum(apart if weight is None else weight @ apart)))


def kmeans_plus_plus(
    x: Float[np.ndarray, "N D"],
    num_seeds: int,
    generator: np.random.Generator,
    *,
    trials: int | None = None,
    weight: Float[np.ndarray, " N"] | None = None,
) -> Int[np.ndarray, " K"]:
    """Row numbers of K seeds, all different in value.

    Arguments:
        x: rows.
        num_seeds: K.
        generator: of the draws.
        trials: draws of each seed, of which the best is kept; 2 + log K when None.
        weight: how often each row counts; once when None.

    Raises:
        InputError: fewer than K distinct rows.
    """
    trials = 2 + int(math.log(num_seeds)) if trials is None else trials
    w = np.ones(len(x)) if weight is None else weight
    seeds = [
        int(
            generator.integers(len(x))
            if weight is None
            else generator.choice(len(x), p=w / w.sum())
        )
    ]
    distance = w * _squared_distances(x, x[seeds])[0]
    while len(seeds) < num_seeds:
        distance[seeds] = 0.0
        total = distance.sum()
        if not total > 0:
            raise InputError(
                f"at least {num_seeds} distinct rows", f"{len(seeds)}", f"fewer {option('components')}",
                where="components",
            )  # fmt: skip
        drawn = generator.choice(len(x), trials, p=distance / total)
        left = np.minimum(distance, w * _squared_distances(x, x[drawn]))
        best = int(np.argmin(left.sum(axis=1)))
        seeds.append(int(drawn[best]))
        distance = left[best]
    return np.asarray(seeds)


def _squared_distances(
    x: Float[np.ndarray, "N D"], seeds: Float[np.ndarray, "K D"]
) -> Float[np.ndarray, "K N"]:
    from scipy.spatial.distance import cdist

    return cdist(seeds, x, "sqeuclidean")  # exactly zero between rows that are equal
