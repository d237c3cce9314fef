"""Cumulative logit: a cell is one of `levels` codes in order, the proportional-odds model of a grade.

    P(x <= k | eta) = sigmoid(c_k - eta),        c_0 < c_1 < ... < c_{levels - 2}

with one location eta per cell from the decoder and cut points c of the cell that all rows share. The
probability of a code is a difference of two sigmoids, whose logarithm keeps its digits in the tails:

    log P(x = k) = log sigmoid(a_k) + log sigmoid(-a_{k-1}) + log(1 - e^(c_{k-1} - c_k)),
    a_k = c_k - eta

Source: P. McCullagh, Regression models for ordinal data, J. R. Stat. Soc. B 42 (1980).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped
from numpyro.distributions import CategoricalLogits, Distribution

from taut.core import InputError, option
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_mean
from taut.models.likelihoods.scale import positive, raw_of

__all__ = ["CumulativeLogit"]

_LEAST_GAP = 1e-3  # between cut points, so that every code keeps a probability


class CumulativeLogit(AbstractLikelihood):
    """x in {0, ..., levels-1}, as integers or as whole floats, ordered; the output is the location.

    Arguments:
        shape: shape of one row of data.
        levels: number of codes; of a row of columns, one for each where they differ.
    """

    name: ClassVar[str] = "cumulative-logit"
    discrete: ClassVar[bool] = True
    first: Float[Array, "*data"]
    raw_gaps: Float[Array, "gaps *data"]
    levels: int | tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(self, *, shape: tuple[int, ...], levels: int | Sequence[int]):
        self.levels = levels if isinstance(levels, int) else tuple(levels)
        if np.min(self.levels) < 2:
            raise InputError(
                "at least 2 levels", str(np.min(self.levels)), "levels=2", where="levels"
            )
        self.num_outputs = 1
        most = int(np.max(self.levels))
        # A location of 0 has the codes evenly likely, nearly, where cut points are evenly spread.
        self.first = jnp.full(shape, -0.5 * (most - 2))
        self.raw_gaps = jnp.full((most - 2, *shape), raw_of(1.0 - _LEAST_GAP))

    def __call__(self, outputs: Float[Array, "1 *data"]) -> Distribution:
        gaps = positive(self.raw_gaps, floor=_LEAST_GAP)
        cuts = jnp.concatenate([self.first[None], self.first + jnp.cumsum(gaps, axis=0)])
        away = cuts - outputs[0]
        none = jnp.zeros_like(away[:1])
        below = jnp.concatenate([jax.nn.log_sigmoid(away), none])
        above = jnp.concatenate([none, jax.nn.log_sigmoid(-away)])
        between = jnp.concatenate([none, jnp.log(-jnp.expm1(-gaps)), none])
        code, top = self._codes(away.ndim), jnp.asarray(self.levels) - 1
        inner = jnp.where(code == top, above, below + above + between)
        logits = jnp.where(code <= top, inner, -jnp.inf)
        return CategoricalLogits(jnp.moveaxis(logits, 0, -1), validate_args=False)

    def mean(self, outputs: Float[Array, "1 *data"]) -> Float[Array, "*data"]:
        """E[code], cell by cell."""
        distribution: Any = self(outputs)
        codes = jnp.arange(distribution.logits.shape[-1], dtype=outputs.dtype)
        return jax.nn.softmax(distribution.logits, axis=-1) @ codes

    def check(self, x: np.ndarray, *, where: str) -> None:
        most = np.asarray(self.levels)
        refuse_first(
            ~(np.isnan(x) | ((x >= 0) & (x < most) & (x == np.floor(x)))), x, where=where,
            expected=f"a code of ordered levels in 0..{int(most.max()) - 1}",
            remedy=f"{option('likelihood', 'gaussian')} for reals",
        )  # fmt: skip

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        counted = len(x) if weight is None else jnp.sum(weight, axis=0)
        top = jnp.asarray(self.levels) - 1
        # Laplace's rule: one row of each code beside those counted.
        rows = [
            jnp.where(code <= top, counted * column_mean(x == code, weight) + 1, 0.0)
            for code in range(int(np.max(self.levels)))
        ]
        total = jnp.cumsum(jnp.stack(rows), axis=0)
        code = self._codes(total.ndim)
        share = jnp.where(code < top, total / (counted + top + 1), 0.5)[:-1]
        cuts = jax.scipy.special.logit(share)
        gaps = jnp.where(code[1:-1] < top, jnp.diff(cuts, axis=0), 1.0)
        raw = raw_of(jnp.maximum(gaps - _LEAST_GAP, _LEAST_GAP))
        moved = eqx.tree_at(lambda own: (own.first, own.raw_gaps), self, (cuts[0], raw))
        outputs = jnp.zeros((1, *cuts.shape[1:]), cuts.dtype)
        return Start(moved, outputs, jnp.ones_like(outputs))

    def options(self) -> dict[str, Any]:
        return {"levels": self.levels if isinstance(self.levels, int) else list(self.levels)}

    def _codes(self, rank: int) -> Int[Array, "..."]:
        """0, 1, ..., most - 1 along the first of so many axes."""
        return jnp.arange(int(np.max(self.levels))).reshape(-1, *(1,) * (rank - 1))

    def _values(self, x: Shaped[Array, "*data"]) -> Int[Array, "*data"]:
        return x.astype(int)
