"""Factor analysis: linear factors with a noise variance of its own in every column.

    x ~ N(mu, W W^T + diag(psi)),    C = W W^T + diag(psi),    B = W^T C^-1

One iteration moves psi by EM (Rubin and Thayer 1982), then W to the maximum of the evidence given psi:

    W'   = S B^T (I - B W + B S B^T)^-1,    psi' = diag(S - W' B S)
    W''  = diag(psi')^(1/2) U_d (L_d - I)_+^(1/2)

with eigenvalues L and eigenvectors U of diag(psi')^(-1/2) S diag(psi')^(-1/2). Neither part lowers the
evidence: this is an ECME algorithm (Liu and Rubin 1994), and a faster one than EM in both (Zhao, Yu and
Jiang 2008).
"""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from taut.models.exact.factor import AbstractFactorModel, Scatter

__all__ = ["FactorAnalysis"]


class FactorAnalysis(AbstractFactorModel):
    """Factor analysis of (D,) rows with d factors.

    Attributes:
        center: mu, (D,).
        loadings: W, (D, d).
        log_variances: log psi, (D,).
        shape: of a row; None for (D,). Other rows are read as flat, in C order.
    """

    center: Float[Array, " D"]
    loadings: Float[Array, "D d"]
    log_variances: Float[Array, " D"]
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)

    @property
    def noise(self) -> Float[Array, " D"]:
        return jnp.exp(self.log_variances)

    @property
    def num_parameters(self) -> int:
        size, rank = self.loadings.shape
        return size + size * rank - rank * (rank - 1) // 2 + size

    def maximized(self, statistics: Scatter, floor: Float[Array, " D"]) -> "FactorAnalysis":
        center, covariance = self.about_own_mean(statistics)
        factor = jnp.linalg.cholesky(self.marginal_covariance)
        b = cho_solve((factor, True), self.loadings).T  # C is symmetric
        image = covariance @ b.T
        second = jnp.eye(b.shape[0]) - b @ self.loadings + b @ image
        loadings = jnp.linalg.solve(second, image.T).T
        residual = jnp.diagonal(covariance) - jnp.sum(loadings * image, axis=1)
        # The expected log-joint has one peak in each psi: the nearest allowed value is the best one.
        noise = jnp.maximum(residual, floor)
        loadings = _best_loadings(covariance, noise, b.shape[0])
        return FactorAnalysis(
            center=center, loadings=loadings, log_variances=jnp.log(noise), shape=self.shape
        )


def _best_loadings(
    covariance: Float[Array, "D D"], noise: Float[Array, " D"], rank: int
) -> Float[Array, "D d"]:
    """The W that maximises the evidence given the noise."""
    deviations = jnp.sqrt(noise)
    values, vectors = jnp.linalg.eigh(covariance / deviations / deviations[:, None])
    lengths = jnp.sqrt(jnp.maximum(values[::-1][:rank] - 1.0, 0.0))
    return deviations[:, None] * vectors[:, ::-1][:, :rank] * lengths
