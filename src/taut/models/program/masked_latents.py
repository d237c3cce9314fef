"""Latents that are masked out: which cells of them belong to no part of the program.

A mask takes a site out of the density, cell by cell. Where a latent is masked and no unmasked site reads
it (padded rows, the half of `obs_mask` that is observed), the density has nothing to say about it:

    left as it is   an integral without a bound, or log K for each sum over K values
    kept            its own density, which integrates to one: the row contributes nothing

Such cells are idle and keep their own density. A masked latent that something reads has a flat prior,
as its author wrote it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int
from numpyro.distributions import (
    Distribution,
    ExpandedDistribution,
    Independent,
    MaskedDistribution,
)

__all__ = ["Idle", "is_masked", "kept"]


class Idle(NamedTuple):
    """The idle cells of a masked latent.

    Attributes:
        cells: True where idle; of the shape of its value, or of its batch.
        axes: the axis of each plate around it.
    """

    cells: np.ndarray
    axes: dict[str, int]

    def of_rows(self, plate: str, rows: Int[Array, " B"]) -> Bool[Array, "..."]:
        """The cells of some rows of a plate."""
        cells = jnp.asarray(self.cells)
        return jnp.take(cells, rows, axis=self.axes[plate]) if plate in self.axes else cells


def is_masked(fn: Distribution) -> bool:
    """Whether a site's distribution has a mask that is not plainly True."""
    if isinstance(fn, MaskedDistribution):
        return fn._mask is not True or is_masked(fn.base_dist)
    return isinstance(fn, (ExpandedDistribution, Independent)) and is_masked(fn.base_dist)


def kept(fn: Distribution, idle: Bool[Array, "..."]) -> Distribution:
    """A masked distribution with the mask taken off its idle cells.

    Arguments:
        fn: of a latent.
        idle: of the shape of its value, or of its batch.
    """
    if isinstance(fn, Independent):
        return Independent(kept(fn.base_dist, idle), fn.reinterpreted_batch_ndims)
    if isinstance(fn, ExpandedDistribution) and isinstance(fn.base_dist, MaskedDistribution):
        inner, mask = fn.base_dist.base_dist, jnp.asarray(fn.base_dist._mask)
        fn = inner.expand(fn.batch_shape).mask(jnp.broadcast_to(mask, fn.batch_shape))
    if isinstance(fn, MaskedDistribution):
        whole = idle.all(axis=tuple(range(len(fn.batch_shape), idle.ndim)))
        return kept(fn.base_dist, idle).mask(fn._mask | whole)
    return fn
