"""Factor analysis: linear factors with a noise variance of its own in every column.

    x ~ N(mu, W W^T + diag(psi)),    C = W W^T + diag(psi),    B = C^-1

One iteration moves each psi_i in turn, then W, to the maximum of the evidence given all else, with S the
rows' covariance:

    psi_i' = max(psi_i + (B S B)_ii / B_ii^2 - 1 / B_ii, floor_i)      (without a floor, psi_i / 2)
    W'     = diag(psi')^(1/2) U_d (L_d - I)_+^(1/2)

with eigenvalues L and eigenvectors U of diag(psi')^(-1/2) S diag(psi')^(-1/2). B is held as a matrix, or
where S = G^T G / n has fewer rows than columns by M^-1 and G diag(psi)^-1 W, which a step changes by one
outer product each:

    B = diag(psi)^-1 - diag(psi)^-1 W M^-1 W^T diag(psi)^-1,    M = I + W^T diag(psi)^-1 W

No part lowers the
evidence: this is the ECME algorithm (Liu and Rubin 1994) of Zhao, Yu and Jiang (2008), which needs far
fewer iterations than EM (Rubin and Thayer 1982), above all where some psi goes to its floor.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from taut.models.exact.factor import AbstractFactorModel, best_loadings
from taut.models.exact.scatter import KeptRows, RowCovariance, Scatter
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

    def maximized(
        self, statistics: Scatter | KeptRows, floor: Float[Array, " D"]
    ) -> "FactorAnalysis":
        center, covariance = self.about_own_mean(statistics)
        if isinstance(covariance, RowCovariance):
            noise = self._best_noise_by_rows(covariance, floor)
        else:
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
            moved = _moved(noise[i], row[i], row @ covariance @ row, floor[i])
            change = moved - noise[i]
            precision = precision - change / (1 + change * row[i]) * jnp.outer(row, row)
            return noise.at[i].set(moved), precision

        eye = jnp.eye(len(floor))
        precision = cho_solve((jnp.linalg.cholesky(self.marginal_covariance), True), eye)
        return jax.lax.fori_loop(0, len(floor), step, (self.noise, precision))[0]

    def _best_noise_by_rows(
        self, covariance: RowCovariance, floor: Float[Array, " D"]
    ) -> Float[Array, " D"]:
        """The same from the rows."""
        rows, loadings, noise = covariance.rows, self.loadings, self.noise

        def step(state: tuple[Array, Array], column: tuple[Array, ...]) -> tuple[Any, Array]:
            inverse, image = state  # M^-1, (d, d), and G diag(psi)^-1 W, (N, d)
            g, w, psi, least = column
            u = inverse @ w
            b = (1 - w @ u / psi) / psi
            projected = (g - image @ u) / psi  # G B e_i
            moved = _moved(psi, b, projected @ projected / len(rows), least)
            change = 1 / moved - 1 / psi
            inverse = inverse - change / (1 + change * (w @ u)) * jnp.outer(u, u)
            return (inverse, image + change * jnp.outer(g, w)), moved

        scaled = loadings / noise[:, None]
        eye = jnp.eye(loadings.shape[1])
        inverse = cho_solve((jnp.linalg.cholesky(eye + loadings.T @ scaled), True), eye)
        columns = (rows.T, loadings, noise, floor)
        return jax.lax.scan(step, (inverse, rows @ scaled), columns)[1]


def _moved(
    noise: Float[Array, ""], b: Float[Array, ""], bsb: Float[Array, ""], floor: Float[Array, ""]
) -> Float[Array, ""]:
    """psi_i' by B_ii and (B S B)_ii: the evidence has one peak in it, next to which the floor may be."""
    best = noise + bsb / b**2 - 1 / b
    return jnp.maximum(best, jnp.where(floor > 0, floor, 0.5 * noise))
