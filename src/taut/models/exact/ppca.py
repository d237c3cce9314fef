"""Probabilistic PCA: linear factors with the same noise variance in every column.

    x ~ N(mu, W W^T + sigma^2 I)

With eigenvalues l_1 >= ... >= l_D and eigenvectors U of the rows' covariance S, the optimum is

    sigma^2 = mean of l_{d+1}, ..., l_D,    W = U_d (L_d - sigma^2 I)^(1/2) R,    R any rotation

(Tipping and Bishop 1999, equations 7 and 8). EM climbs to it (appendix B): with M = W^T W + sigma^2 I,

    W'       = S W (sigma^2 I + M^-1 W^T S W)^-1
    sigma'^2 = tr(S - S W M^-1 W'^T) / D
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.models.exact.factor import AbstractFactorModel, Scatter

__all__ = ["ProbabilisticPCA"]


class ProbabilisticPCA(AbstractFactorModel):
    """Probabilistic PCA of (D,) rows with d factors.

    Attributes:
        center: mu, (D,).
        loadings: W, (D, d).
        log_variance: log sigma^2, ().
        shape: of a row; None for (D,). Other rows are read as flat, in C order.
    """

    center: Float[Array, " D"]
    loadings: Float[Array, "D d"]
    log_variance: Float[Array, ""]
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)

    @property
    def noise(self) -> Float[Array, " D"]:
        return jnp.broadcast_to(jnp.exp(self.log_variance), self.center.shape)

    @property
    def num_parameters(self) -> int:
        size, rank = self.loadings.shape
        return size + size * rank - rank * (rank - 1) // 2 + 1

    def maximized(self, statistics: Scatter, floor: Float[Array, " D"]) -> "ProbabilisticPCA":
        center, covariance = self.about_own_mean(statistics)
        variance, eye = jnp.exp(self.log_variance), jnp.eye(self.loadings.shape[1])
        m = self.loadings.T @ self.loadings + variance * eye
        image = covariance @ self.loadings
        inner = jnp.linalg.solve(m, self.loadings.T @ image)
        loadings = jnp.linalg.solve((variance * eye + inner).T, image.T).T
        rest = jnp.trace(covariance) - jnp.sum(jnp.linalg.solve(m, image.T).T * loadings)
        return self._floored(center, loadings, rest / self.center.shape[0], floor)

    def closed_form(self, statistics: Scatter, floor: Float[Array, " D"]) -> "ProbabilisticPCA":
        """The maximum-likelihood model, with R = I: columns of W by falling variance."""
        center, covariance = self.about_own_mean(statistics)
        rank = self.loadings.shape[1]
        values, vectors = jnp.linalg.eigh(covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        variance = jnp.maximum(jnp.mean(values[rank:]), jnp.mean(floor))
        lengths = jnp.sqrt(jnp.maximum(values[:rank] - variance, 0.0))
        return self._floored(center, vectors[:, :rank] * lengths, variance, floor)

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
            center=center, loadings=loadings, log_variance=jnp.log(variance), shape=self.shape
        )
