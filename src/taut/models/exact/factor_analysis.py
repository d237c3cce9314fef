"""Factor analysis: linear factors with a noise variance of its own in every column.

    x ~ N(mu, W W^T + diag(psi)),    C = W W^T + diag(psi),    B = C^-1

One iteration moves each psi_i in turn, then W, to the maximum of the evidence given all else, with S the
rows' covariance:

    psi_i' = max(psi_i + (B S B)_ii / B_ii^2 - 1 / B_ii, floor_i)      (without a floor, psi_i / 2)
    W'     = diag(psi')^(1/2) U_d (L_d - I)_+^(1/2)

with eigenvalues L and eigenvectors U of diag(psi')^(-1/2) S diag(psi')^(-1/2). No part lowers the
evidence: this is the ECME algorithm (Liu and Rubin 1994) of Zhao, Yu and Jiang (2008), which needs far
fewer iterations than EM (Rubin and Thayer 1982), above all where some psi goes to its floor.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from taut.models.exact.factor import AbstractFactorModel, Scatter, best_loadings
from taut.models.exact.varying_cells import Constants

__all__ = ["FactorAnalysis"]


class FactorAnalysis(AbstractFactorModel):
    """Factor analysis of (D,) rows with d factors.

    Attributes:
        center: mu, (D,).
        loadings: W, (D, d).
        log_variances: log psi, (D,).
        shape: of a row; None for (D,). Other rows are read as flat, in C order.
        constants: cells of the flat row that are no columns of the model, with their values.
    """

    center: Float[Array, " D"]
    loadings: Float[Array, "D d"]
    log_variances: Float[Array, " D"]
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)
    constants: Constants = eqx.field(static=True, default=())

    @property
    def noise(self) -> Float[Array, " D"]:
        return jnp.exp(self.log_variances)

    @property
    def num_parameters(self) -> int:
        size, rank = self.loadings.shape
        return size + size * rank - rank * (rank - 1) // 2 + size

    def maximized(self, statistics: Scatter, floor: Float[Array, " D"]) -> "FactorAnalysis":
        center, covariance = self.about_own_mean(statistics)
        noise = self._best_noise(covariance, floor)
        loadings = best_loadings(covariance, noise, self.loadings.shape[1])
        return FactorAnalysis(
            center=center,
            loadings=loadings,
            log_variances=jnp.log(noise),
            shape=self.shape,
            constants=self.constants,
        )

    def _best_noise(
        self, covariance: Float[Array, "D D"], floor: Float[Array, " D"]
    ) -> Float[Array, " D"]:
        """The noise after one step along each column."""

        def step(
            i: Array, now: tuple[Float[Array, " D"], Float[Array, "D D"]]
        ) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
            noise, precision = now
            row = precision[i]
            # The evidence has one peak in psi_i: the nearest allowed value is the best one.
            best = noise[i] + row @ covariance @ row / row[i] ** 2 - 1 / row[i]
            moved = jnp.maximum(best, jnp.where(floor[i] > 0, floor[i], 0.5 * noise[i]))
            change = moved - noise[i]
            precision = precision - change / (1 + change * row[i]) * jnp.outer(row, row)
            return noise.at[i].set(moved), precision

        eye = jnp.eye(len(floor))
        precision = cho_solve((jnp.linalg.cholesky(self.marginal_covariance), True), eye)
        return jax.lax.fori_loop(0, len(floor), step, (self.noise, precision))[0]
