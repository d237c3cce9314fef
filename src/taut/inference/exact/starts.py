"""Starts of EM: k-means clusters for mixtures, random loadings for factor models, and restarts.

Clusters are those of columns scaled to unit variance, or of the values of categories, which are all
equally far apart; every row belongs to its cluster, and one M-step gives the parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import InputError, counted, option
from taut.core.compiling import shared_jit
from taut.core.devices import alone
from taut.inference.exact.kmeans import kmeans
from taut.inference.exact.row_blocks import Block, RowBlocks, Spread
from taut.models import AbstractExactModel, FactorAnalysis, GaussianMixture, ProbabilisticPCA
from taut.models.exact import AbstractMixture, ColumnMixture, LatentClass, varying

__all__ = ["check_components", "random_start"]

_SAMPLE = 20_000  # rows that seeds are drawn from, enough to find any component worth its name
_FLOOR = 0.01  # of the variance within clusters: keeps one that owns one row from being a spike


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
    x, weight = _looked_at(rows, generator)
    owner = kmeans(_points(model, x, spread), model.num_components, generator, weight)
    if rows.holes:
        x = _filled_by_neighbours(x, owner, generator)
    with jax.enable_x64(True):
        return _from_owners(model, x, owner, spread, weight)


def _looked_at(
    rows: RowBlocks, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "n ..."], Float[np.ndarray, " n"] | None]:
    """Rows that seeds are drawn from, and their weights: of weighted rows those that differ."""
    x, weight = (None, None) if rows.weight is None else rows.distinct()
    number = rows.num_rows if x is None else len(x)
    chosen = np.arange(number)
    if number > _SAMPLE:
        chosen = np.sort(generator.choice(number, _SAMPLE, replace=False))
    if x is None or weight is None:
        return rows.take(chosen), None
    return x[chosen], weight[chosen]


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
            f"at most {counted(num_rows, 'component')}, one a training row", f"{number}",
            f"fewer {option('components')}",
            where="components",
        )  # fmt: skip
    if size is not None and number >= size:
        raise InputError(
            f"fewer factors than the {size} columns", f"{number}",
            option("components", max(size - 1, 1)),
            where="components",
        )  # fmt: skip


@alone()  # of rows that every host has
def _from_owners(
    model: AbstractMixture,
    x: Float[np.ndarray, "N ..."],
    owner: Int[np.ndarray, " N"],
    spread: Spread,
    weight: Float[np.ndarray, " N"] | None,
) -> AbstractMixture:
    """The M-step under which every row belongs to its owner."""
    rows = RowBlocks(x, weight=weight)
    (block,) = rows.blocks(model)
    owners = np.pad(owner, (0, block.weight.size - len(owner))).reshape(block.weight.shape)
    flat = x.reshape(len(x), -1)
    within = np.zeros(flat.shape[1])
    for k in np.unique(owner):
        own = flat[owner == k]
        if weight is None:
            within += len(own) * own.var(axis=0)
        else:
            w = weight[owner == k]
            within += w @ (own - np.average(own, axis=0, weights=w)) ** 2
    least = np.maximum(_FLOOR * within / rows.total, spread.least.ravel())
    least = jnp.asarray(least).reshape(spread.least.shape)
    floor = model.floor(_FLOOR, added=0.0, least=least, sample=x)
    return _owned(model, block, owners, spread, floor)


@shared_jit
def _owned(
    model: AbstractMixture, block: Block, owners: Int[Array, "M C"], spread: Spread, floor: Any
) -> AbstractMixture:
    """The M-step of a block of rows with their owners, whose statistics add up chunk by chunk."""
    model = _at_the_mean(model, spread)

    def one(chunk: tuple[Block, Array]) -> Any:
        rows, owner = chunk
        r = jax.nn.one_hot(owner, model.num_components, dtype=rows.x.dtype)
        return model.assigned(rows.x, r * rows.weight[:, None])

    parts = jax.lax.map(one, (block, owners))
    return model.maximized(jax.tree.map(lambda s: jnp.sum(s, axis=0), parts), floor)


def _at_the_mean(model: AbstractMixture, spread: Spread) -> AbstractMixture:
    """The model that the statistics of a start are gathered by: a reference near the rows.

    Those of Gaussians are about a reference; those of columns depend on what a model says of each cell.
    """
    if isinstance(model, ColumnMixture):
        return model.equal(model.num_components)
    if not isinstance(model, GaussianMixture):
        return model
    number = model.num_components
    mean, deviations = (
        varying(jnp.reshape(a, -1), model.constants)
        for a in (spread.mean, jnp.sqrt(jnp.maximum(spread.variance, spread.least)))
    )
    scale = model.covariance.isotropic(deviations, number)
    means = jnp.tile(mean, (number, 1))
    return GaussianMixture(
        jnp.zeros(number), means, scale, model.kind, model.shape, model.constants
    )


def _points(
    model: AbstractMixture, x: Float[np.ndarray, "N ..."], spread: Spread
) -> Float[np.ndarray, "N F"]:
    """Rows as k-means measures them; NaN where a cell is missing."""
    if isinstance(model, LatentClass) and model.codes is not None:
        with jax.enable_x64(True):
            points = np.asarray(model.one_hot(jnp.asarray(x)))
        missing = np.isnan(x).reshape(len(x), -1)
        return np.where(np.repeat(missing, model.log_theta.shape[2], axis=1), np.nan, points)
    if isinstance(model, ColumnMixture):
        return model.points(x)
    varies = spread.variance.ravel() > 0
    deviations = np.sqrt(spread.variance.ravel()[varies])
    return (x.reshape(len(x), -1)[:, varies] - spread.mean.ravel()[varies]) / deviations


def _filled_by_neighbours(
    x: Float[np.ndarray, "N ..."], owner: Int[np.ndarray, " N"], generator: np.random.Generator
) -> Float[np.ndarray, "N ..."]:
    """Rows whose missing cells have a value that the same column has in a random row of the cluster.

    Of the whole column where no row of the cluster has one, and noise where no row has.
    """
    flat = x.reshape(len(x), -1).copy()
    for d in np.flatnonzero(np.isnan(flat).any(axis=0)):
        column = flat[:, d].copy()
        for k in np.unique(owner[np.isnan(column)]):
            wanted = np.isnan(column) & (owner == k)
            known = column[~np.isnan(column) & (owner == k)]
            known = known if len(known) else column[~np.isnan(column)]
            if len(known):
                flat[wanted, d] = generator.choice(known, wanted.sum())
    left = np.isnan(flat)
    flat[left] = generator.standard_normal(left.sum())
    return flat.reshape(x.shape)


def _random_loadings(
    model: AbstractExactModel, spread: Spread, generator: np.random.Generator
) -> AbstractExactModel:
    assert isinstance(model, ProbabilisticPCA | FactorAnalysis)
    mean, variance = (
        varying(jnp.asarray(a).reshape(-1), model.constants)
        for a in (spread.mean, np.maximum(spread.variance, spread.least))
    )
    shape = model.loadings.shape
    loadings = (
        jnp.asarray(generator.standard_normal(shape)) * jnp.sqrt(variance / shape[1])[:, None]
    )
    if isinstance(model, ProbabilisticPCA):
        return ProbabilisticPCA(
            center=mean,
            loadings=loadings,
            log_variance=jnp.log(jnp.mean(variance)),
            shape=model.shape,
            constants=model.constants,
        )
    return FactorAnalysis(
        center=mean,
        loadings=loadings,
        log_variances=jnp.log(variance),
        shape=model.shape,
        constants=model.constants,
    )
