"""Starts of EM: k-means++ seeds for mixtures, random loadings for factor models, and restarts.

k-means++ draws each seed with probability proportional to the squared distance to the nearest seed so
far (Arthur and Vassilvitskii 2007), here in columns scaled to unit variance. Every row then belongs to
its nearest seed, and one M-step gives the start.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import InputError, option
from taut.inference.exact.row_blocks import Block, RowBlocks, Spread
from taut.models import AbstractExactModel, FactorAnalysis, GaussianMixture, ProbabilisticPCA
from taut.models.exact import AbstractMixture

__all__ = ["check_components", "kmeans_plus_plus", "random_start"]

_SAMPLE = 20_000  # rows that seeds are drawn from, enough to find any component worth its name
_FLOOR = 0.01  # of the spread: keeps a seed that owns one row from being a spike


def random_start(
    model: AbstractExactModel, rows: RowBlocks, spread: Spread, *, seed: int
) -> AbstractExactModel:
    """A start for EM.

    Arguments:
        model: of the kind and shapes wanted; its values do not matter.
        rows: training rows, N.
        spread: theirs.
        seed: of everything random.

    Raises:
        InputError: more components than distinct rows.
    """
    generator = np.random.default_rng(seed)
    if not isinstance(model, AbstractMixture):
        with jax.enable_x64(True):
            return _random_loadings(model, spread, generator)
    chosen = np.arange(rows.num_rows)
    if rows.num_rows > _SAMPLE:
        chosen = np.sort(generator.choice(rows.num_rows, _SAMPLE, replace=False))
    x = rows.take(chosen)
    flat = x.reshape(len(x), -1)
    varies = spread.variance.ravel() > 0
    flat = (flat[:, varies] - spread.mean.ravel()[varies]) / np.sqrt(
        spread.variance.ravel()[varies]
    )
    seeds = kmeans_plus_plus(flat, model.num_components, generator)
    nearest = np.argmin(_squared_distances(flat, flat[seeds]), axis=1)

    with jax.enable_x64(True):
        return _from_owners(_at_the_mean(model, spread), x, nearest, spread)


def kmeans_plus_plus(
    x: Float[np.ndarray, "N D"], num_seeds: int, generator: np.random.Generator
) -> Int[np.ndarray, " K"]:
    """Row numbers of K seeds, all different in value.

    Raises:
        InputError: fewer than K distinct rows.
    """
    seeds = [int(generator.integers(len(x)))]
    distance = _squared_distances(x, x[seeds])[:, 0]
    while len(seeds) < num_seeds:
        distance[seeds] = 0.0
        total = distance.sum()
        if not total > 0:
            raise InputError(
                f"at least {num_seeds} distinct rows", f"{len(seeds)}", f"fewer {option('components')}",
                where="components",
            )  # fmt: skip
        seeds.append(int(generator.choice(len(x), p=distance / total)))
        distance = np.minimum(distance, _squared_distances(x, x[seeds[-1:]])[:, 0])
    return np.asarray(seeds)


def check_components(number: int, num_rows: int, size: int | None = None) -> None:
    """Refuse numbers of components or factors that the data cannot carry.

    Arguments:
        number: K, or the number of factors d.
        num_rows: training rows.
        size: columns, where components are factors.

    Raises:
        InputError: fewer than one, more than there are rows, or as many factors as columns.
    """
    if number < 1:
        raise InputError("at least one component", f"{number}", "1 or more", where="components")
    if number > num_rows:
        raise InputError(
            f"at most {num_rows} components, one a training row", f"{number}",
            f"fewer {option('components')}",
            where="components",
        )  # fmt: skip
    if size is not None and number >= size:
        raise InputError(
            f"fewer factors than the {size} columns", f"{number}",
            option("components", max(size - 1, 1)),
            where="components",
        )  # fmt: skip


def _at_the_mean(model: AbstractMixture, spread: Spread) -> AbstractMixture:
    """The model that the statistics of a start are gathered by: a reference near the rows."""
    if not isinstance(model, GaussianMixture):
        return model
    number, mean = model.num_components, jnp.asarray(spread.mean).reshape(-1)
    deviations = jnp.sqrt(jnp.asarray(spread.variance)).reshape(-1)
    deviations = jnp.where(deviations > 0, deviations, jnp.mean(deviations))
    scale = model.covariance.isotropic(deviations, number)
    means = jnp.tile(mean, (number, 1))
    return GaussianMixture(jnp.zeros(number), means, scale, model.kind, model.shape)


def _from_owners(
    model: AbstractMixture,
    x: Float[np.ndarray, "N ..."],
    owner: Int[np.ndarray, " N"],
    spread: Spread,
) -> AbstractMixture:
    """The M-step under which every row belongs to its owner."""
    (block,) = RowBlocks(x).blocks(model.width)
    owners = np.pad(owner, (0, block.weight.size - len(owner)))
    statistics = _assigned(model, block, jnp.asarray(owners.reshape(block.weight.shape)))
    return _maximized(model, statistics, jnp.asarray(spread.variance), float(len(x)))


@eqx.filter_jit
def _maximized(
    model: AbstractMixture, statistics: Any, variance: Float[Array, "..."], num_rows: float
) -> AbstractMixture:
    floor = model.floor(_FLOOR, added=0.0, spread=variance, num_rows=num_rows)
    return model.maximized(statistics, floor)


@eqx.filter_jit
def _assigned(model: AbstractMixture, block: Block, owners: Int[Array, "M C"]) -> Any:
    """Statistics of a block of rows with their owners, chunk by chunk."""

    def one(chunk: tuple[Block, Array]) -> Any:
        rows, owner = chunk
        r = jax.nn.one_hot(owner, model.num_components, dtype=rows.x.dtype)
        return model.assigned(rows.x, r * rows.weight[:, None])

    return jax.tree.map(lambda s: jnp.sum(s, axis=0), jax.lax.map(one, (block, owners)))


def _squared_distances(
    x: Float[np.ndarray, "N D"], seeds: Float[np.ndarray, "K D"]
) -> Float[np.ndarray, "N K"]:
    return np.stack([((x - s) ** 2).sum(axis=1) for s in seeds], axis=1)


def _random_loadings(
    model: AbstractExactModel, spread: Spread, generator: np.random.Generator
) -> AbstractExactModel:
    mean = jnp.asarray(spread.mean).reshape(-1)
    variance = np.where(spread.variance > 0, spread.variance, spread.variance.mean())
    variance = jnp.asarray(variance).reshape(-1)
    assert isinstance(model, ProbabilisticPCA | FactorAnalysis)
    shape = model.loadings.shape
    loadings = (
        jnp.asarray(generator.standard_normal(shape)) * jnp.sqrt(variance / shape[1])[:, None]
    )
    if isinstance(model, ProbabilisticPCA):
        log_variance = jnp.log(jnp.mean(variance))
        return ProbabilisticPCA(
            center=mean, loadings=loadings, log_variance=log_variance, shape=model.shape
        )
    return FactorAnalysis(
        center=mean, loadings=loadings, log_variances=jnp.log(variance), shape=model.shape
    )
