"""`AbstractCounts` and its `CountMean`: the log-mean of a count, free or as a share of the row's total.

    free          log mean_d = output_d
    library       log mean_d = log T + output_d - log sum_c e^(output_c),    T = sum of the row's counts

With `library` the row's total, over its observed cells, enters as a known size factor (sequencing depth,
in single-cell data), and proportions are normalized over the same cells, so that a cell that was not
observed changes nothing. A missing cell is drawn as at the same total were it observed: with sigma the
softmax of all outputs, the row's total over all cells is

    T_all = sum_o x_d / sum_o sigma_d        o: observed cells; `library_size` where there is none

The mass function then sums to one over rows for each value of T, not with T taken from the row that is
summed over: its evidence is that of a model given T, and is not to be compared with evidence without the
option.

Rows are drawn from the law of a row of total T, with T as the sum of their means, so that they come to
other totals nearby. With extra zeros T is the sum of the means without them, in what is judged and what
is drawn: rows are expected to have T sum_d (1 - g_d) share_d counts, fewer than T. Rows by which a guide
or an upper end of the evidence is judged have the totals themselves (`taut.evidence.given_totals`).

Source: Lopez et al., Deep generative modeling for single-cell transcriptomics (Nature Methods 2018),
methods, for observed library sizes.
"""

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import Distribution

from taut.core import InputError, option
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.moments import column_mean

__all__ = ["AbstractCounts", "CountMean"]

_Own = TypeVar("_Own", bound="AbstractCounts")

# Means are held at e^-80, about 1e-35: a smaller one adds less than that to any log-mass of 0, and
# its logarithm must stay finite in float32, also for a cell of no proportion.
_LOWEST = -80.0
_ROUNDS = 30  # of shares of totals over other cells in each row; a third of extra zeros takes ten
_USUAL_TOTAL = 1e4  # counts of a row, as the field scales them to
_LEAST_EXCESS = 0.01  # of the variance over a Poisson's, by which counts start to spread


class CountMean(eqx.Module):
    """log E[x] of each cell from one output per cell.

    Arguments:
        library: condition on the row's total.
        library_size: the total at which rows are drawn and means given where no row is at hand; None
            where nobody named one.

    Attributes:
        log_total: of one row over all its cells, in place of `library_size`; None for the latter.
    """

    library: bool = eqx.field(static=True)
    library_size: float | None = eqx.field(static=True)
    log_total: Float[Array, ""] | None

    def __init__(self, *, library: bool, library_size: float | None):
        if library_size is not None and not library_size > 0:
            raise InputError(
                "a positive library size", str(library_size), "1e4", where=option("library_size")
            )
        self.library = bool(library)
        self.library_size = None if library_size is None else float(library_size)
        self.log_total = None

    @property
    def size(self) -> float:
        """The total where no row is at hand: `library_size`, or 10,000 where nobody named one."""
        return _USUAL_TOTAL if self.library_size is None else self.library_size

    def __call__(
        self,
        output: Float[Array, "*data"],
        x: Shaped[Array, "*data"] | None = None,
        mask: Bool[Array, "*data"] | None = None,
    ) -> Float[Array, "*data"]:
        """The log-mean, at least -80.

        Arguments:
            output: one per cell.
            x, mask: the row that gives the total, and its observed cells; unobserved cells of x must
                be finite. None for `library_size`.
        """
        if not self.library:
            return jnp.maximum(output, _LOWEST)
        if mask is not None:
            # Shares of nothing are no numbers, and a row without an observed cell needs none.
            output = jnp.where(mask | ~jnp.any(mask), output, -jnp.inf)
        if x is not None:
            log_total = _log_total(x, mask, output.dtype)
        elif self.log_total is None:
            log_total = jnp.log(jnp.asarray(self.size, dtype=output.dtype))
        else:
            log_total = self.log_total
        # A row without counts has mean zero everywhere, which the bound below stands for.
        return jnp.maximum(log_total + _log_shares(output), _LOWEST)

    def log_total_of(
        self, output: Float[Array, "*data"], x: Shaped[Array, "*data"], mask: Bool[Array, "*data"]
    ) -> Float[Array, ""]:
        """log T_all of a row; at most 80, as means are at least e^-80."""
        known = jax.nn.logsumexp(jnp.where(mask, _log_shares(output), -jnp.inf))
        size = jnp.log(jnp.asarray(self.size, dtype=output.dtype))
        told = _log_total(x, mask, output.dtype) - jnp.where(jnp.any(mask), known, 0)
        return jnp.minimum(jnp.where(jnp.any(mask), told, size), -_LOWEST)

    def of_rows(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None
    ) -> tuple[Float[Array, "*data"], Float[Array, "#N *data"]]:
        """The output at which columns have the means of these rows, and the mean of each row then.

        A column without counts has the mean of half a count in all rows together. Under a total, shares
        are those of the rows' totals over what each row holds, found in turns where rows differ in that.
        """
        counted = jnp.full(x.shape[1:], len(x)) if weight is None else jnp.sum(weight, axis=0)
        mean = jnp.maximum(column_mean(x, weight), 0.5 / jnp.maximum(counted, 1))
        if not self.library:
            return jnp.log(mean), mean[None]
        cells = tuple(range(1, x.ndim))
        total = jnp.sum(x if weight is None else weight * x, axis=cells, keepdims=True)
        if weight is None:
            share = mean / jnp.sum(mean)
            return jnp.log(share), total * share

        def expected(share: Float[Array, "*data"]) -> Float[Array, "N *data"]:
            """Of each cell at these shares, were it observed."""
            known = jnp.sum(jnp.where(weight > 0, share, 0), axis=cells, keepdims=True)
            return total * share / jnp.where(known > 0, known, 1)

        def closer(_: Any, share: Float[Array, "*data"]) -> Float[Array, "*data"]:
            found = column_mean(expected(share), weight)
            share = jnp.where(found > 0, share * mean / jnp.where(found > 0, found, 1), share)
            return share / jnp.sum(share)

        share = jax.lax.fori_loop(0, _ROUNDS, closer, mean / jnp.sum(mean))
        return jnp.log(share), expected(share)


class AbstractCounts(AbstractLikelihood):
    """Counts with one log-mean per cell."""

    discrete: ClassVar[bool] = True
    counts: ClassVar[bool] = True
    num_outputs = 1
    log_mean: CountMean

    @property
    def given_totals(self) -> bool:
        return self.log_mean.library

    @abstractmethod
    def at(self, log_mean: Float[Array, "*data"]) -> Distribution:
        """The distribution of counts with these log-means."""

    def __call__(self, outputs: Float[Array, "1 *data"]) -> Distribution:
        return self.at(self.log_mean(outputs[0]))

    def given(
        self,
        outputs: Float[Array, "1 *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Distribution:
        return self.at(self.log_mean(outputs[0], x, mask))

    def of_row(
        self,
        outputs: Float[Array, "1 *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> "AbstractCounts":
        if not self.log_mean.library:
            return self
        return self._at(self.log_mean.log_total_of(outputs[0], x, mask))

    @property
    def usual_total(self) -> float:
        return self.log_mean.size

    def at_total(self, total: Float[Array, ""]) -> "AbstractCounts":
        return self._at(jnp.log(total))

    def total_of(
        self,
        outputs: Float[Array, "1 *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> Float[Array, ""]:
        return jnp.exp(self.log_mean.log_total_of(outputs[0], x, mask))

    def means_at(
        self, outputs: Float[Array, "1 *data"], total: Float[Array, ""], mask: Bool[Array, "*data"]
    ) -> Float[Array, "*data"]:
        mean = self.at_total(total).log_mean
        return jnp.where(mask, jnp.exp(mean(outputs[0], mask=mask)), 0.0)

    def rates(
        self,
        means: Float[np.ndarray, "N *data"],
        outputs: Float[np.ndarray, "N 1 *data"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "N *data"]:
        return means

    def dispersed(self, inverse: Float[Array, "*data"]) -> Any:
        """The likelihood under which each column has this inverse dispersion, where it has one."""
        return self

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start:
        output, mean = self.log_mean.of_rows(x, weight)
        variance = column_mean((x - mean) ** 2, weight)
        # A column without an observed cell has the mean that all rows would have.
        seen = weight if weight is None else jnp.where(jnp.any(weight > 0, axis=0), weight, 1)
        first, second = (column_mean(m, seen) for m in (mean, mean**2))
        # E(x - mean)^2 = mean + mean^2 / r; near a Poisson its spread does not tell r.
        inverse = second / jnp.maximum(variance - first, _LEAST_EXCESS * first)
        spread = jnp.minimum(jnp.sqrt(variance) / first, 1)
        return Start(self.dispersed(inverse), output[None], spread[None])

    def check(self, x: np.ndarray, *, where: str) -> None:
        refuse_first(
            ~(np.isnan(x) | ((x >= 0) & (x == np.floor(x)) & ~np.isinf(x))),
            x,
            where=where,
            expected="a count 0, 1, 2, ... in every cell",
            remedy=f"{option('likelihood', 'gaussian')} for reals, or counts before any normalization",
        )
        # Beyond, neighbouring counts are one number: what arrives is not what was counted.
        exact = 2.0 ** (np.finfo(x.dtype).nmant + 1) if x.dtype.kind == "f" else np.inf
        refuse_first(
            x >= exact,
            x,
            where=where,
            expected=f"counts below {exact:.0f}, up to which {x.dtype} tells them apart",
            remedy=f"{option('precision', 'float64')}, or counts of thousands",
        )

    def _at(self: _Own, log_total: Float[Array, ""]) -> _Own:
        return eqx.tree_at(
            lambda likelihood: likelihood.log_mean.log_total, self, log_total,
            is_leaf=lambda leaf: leaf is None,
        )  # fmt: skip


def _log_total(
    x: Shaped[Array, "*data"], mask: Bool[Array, "*data"] | None, dtype: Any
) -> Float[Array, ""]:
    """log of the sum of the observed counts; -inf of none."""
    total = jnp.sum(x if mask is None else jnp.where(mask, x, 0)).astype(dtype)
    return jnp.where(total > 0, jnp.log(jnp.where(total > 0, total, 1.0)), -jnp.inf)


def _log_shares(output: Float[Array, "*data"]) -> Float[Array, "*data"]:
    return jax.nn.log_softmax(output.reshape(-1)).reshape(output.shape)
