"""Probabilistic PCA: linear factors with the same noise variance in every column.

    x ~ N(mu, W W^T + sigma^2 I)

With eigenvalues l_1 >= ... >= l_D and eigenvectors U of the rows' covariance S, the optimum is

    sigma^2 = mean of l_{d+1}, ..., l_D,    W = U_d (L_d - sigma^2 I)^(1/2) R,    R any rotation

(Tipping and Bishop 1999, equations 7 and 8). One iteration moves sigma^2 by EM (appendix B), with
M = W^T W + sigma^2 I, then W to the maximum of the evidence given sigma^2,

    W'       = S W (sigma^2 I + M^-1 W^T S W)^-1
    sigma'^2 = tr(S - S W M^-1 W'^T) / D
    W''      = U_d (L_d - sigma'^2 I)_+^(1/2)

which is ECME (Liu and Rubin 1994) as in `FactorAnalysis`: EM alone turns W slowly where columns differ
much in scale.

At the optimum with R = I the columns of W lie along the principal axes, W^T W is diagonal, and so is the
posterior's covariance: a linear encoder with a diagonal covariance attains the same bound as one with a
full covariance, and the bound is tight there (Lucas, Tucker, Grosse and Norouzi 2019).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import InputError, counted
from taut.models.exact.factor import AbstractFactorModel, best_loadings
from taut.models.exact.scatter import KeptRows, Scatter, leading_directions
from taut.models.exact.varying_cells import Constants

__all__ = ["ProbabilisticPCA"]


class ProbabilisticPCA(AbstractFactorModel):
    """Probabilistic PCA of (D,) rows with d factors.

    Attributes:
        center: mu, (D,).
        loadings: W, (D, d).
        log_variance: log sigma^2, ().
        shape: of a row; None for (D,). Other rows are read as flat, in C order.
        constants: cells of the flat row that are no columns of the model, with their values.
    """

    center: Float[Array, " D"]
    loadings: Float[Array, "D d"]
    log_variance: Float[Array, ""]
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    constants: Constants = eqx.field(static=True, default=())

    @property
    def noise(self) -> Float[Array, " D"]:
        return jnp.broadcast_to(jnp.exp(self.log_variance), self.center.shape)

    @property
    def num_parameters(self) -> int:
        size, rank = self.loadings.shape
        return size + size * rank - rank * (rank - 1) // 2 + 1

    def maximized(
        self, statistics: Scatter | KeptRows, floor: Float[Array, " D"]
    ) -> "ProbabilisticPCA":
        center, covariance = self.about_own_mean(statistics)
        variance, eye = jnp.exp(self.log_variance), jnp.eye(self.loadings.shape[1])
        m = self.loadings.T @ self.loadings + variance * eye
        image = covariance @ self.loadings
        inner = jnp.linalg.solve(m, self.loadings.T @ image)
        loadings = jnp.linalg.solve((variance * eye + inner).T, image.T).T
        rest = covariance.trace() - jnp.sum(jnp.linalg.solve(m, image.T).T * loadings)
        variance = jnp.maximum(rest / self.center.shape[0], jnp.mean(floor))
        noise = jnp.full(self.center.shape, variance)
        loadings = best_loadings(covariance, noise, self.loadings.shape[1])
        return self._floored(center, loadings, variance, floor)

    @classmethod
    def maximum_likelihood(
        cls, x: Float[Array | np.ndarray, "N D"], num_factors: int
    ) -> "ProbabilisticPCA":
        """The global maximum of the mean evidence over rows, exact; computed in float64.

        Arguments:
            x: rows, every cell observed.
            num_factors: d, from 1 to D - 1.

        Raises:
            InputError: cells that are not finite; d out of range; rows that lie in d dimensions, so
                that sigma = 0 and the evidence is unbounded.
        """
        rows = np.asarray(x, np.float64)
        size = rows.shape[1]
        if not 1 <= num_factors < size:
            raise InputError(
                f"1 to {size - 1} factors for {size} columns", f"{num_factors}", "fewer",
                where="num_factors",
            )  # fmt: skip
        if rows.shape[0] == 0 or not np.isfinite(rows).all():
            raise InputError(
                "rows of finite numbers", "none, or cells that are not finite",
                "dropping or imputing them", where="x",
            )  # fmt: skip
        with jax.enable_x64(True):
            start = cls(
                center=jnp.asarray(rows.mean(axis=0)),
                loadings=jnp.zeros((size, num_factors)),
                log_variance=jnp.zeros(()),
            )
            statistics = (
                start.kept(jnp.asarray(rows))
                if start.keeps(len(rows))
                else start.expected(jnp.asarray(rows), jnp.ones(len(rows)))
            )
            best = start.closed_form(statistics, jnp.zeros(size))
            _, covariance = start.about_own_mean(statistics)
            largest = float(leading_directions(covariance, jnp.ones(size), 1)[0][0])
        if not np.exp(best.log_variance) > size * np.finfo(np.float64).eps * largest:
            raise InputError(
                f"rows that vary in more than {counted(num_factors, 'dimension')}",
                "rows without a residual, whose evidence is unbounded",
                "fewer factors or more rows", where="x",
            )  # fmt: skip
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), float), best)

    def closed_form(
        self, statistics: Scatter | KeptRows, floor: Float[Array, " D"]
    ) -> "ProbabilisticPCA":
        """The maximum-likelihood model, with R = I: columns of W by falling variance."""
        center, covariance = self.about_own_mean(statistics)
        size, rank = self.loadings.shape
        values, vectors = leading_directions(covariance, jnp.ones_like(center), rank)
        variance = jnp.maximum(jnp.sum(values[rank:]) / (size - rank), jnp.mean(floor))
        lengths = jnp.sqrt(jnp.maximum(values[:rank] - variance, 0.0))
        return self._floored(center, vectors * lengths, variance, floor)

    def _floored(
        self,
        center: Float[Array, " D"],
        loadings: Float[Array, "D d"],
        variance: Float[Array, ""],
        floor: Float[Array, " D"],
    ) -> "ProbabilisticPCA":
        # The expected log-joint has one peak in sigma^2: the nearest allowed value is the best one.
        variance = jnp.maximum(variance, jnp.mean(floor))
        return ProbabilisticPCA(
            center=center,
            loadings=loadings,
            log_variance=jnp.log(variance),
            shape=self.shape,
            constants=self.constants,
        )

    def _least_noise(self, floor: Float[Array, " D"]) -> Float[Array, " D"]:
        return jnp.broadcast_to(jnp.mean(floor), floor.shape)
