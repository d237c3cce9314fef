"""The linear-Gaussian model: a variational autoencoder whose evidence and posterior are known.

    z ~ N(0, I_d),        x | z ~ N(W z + b, s^2 I_D)

    log p(x) = log N(x; b, W W' + s^2 I)
    p(z | x) = N(m, M^-1),        M = I + W' W / s^2,        m = M^-1 W' (x - b) / s^2

Both are computed in the latent dimension (Woodbury, and the determinant lemma):

    (x - b)' C^-1 (x - b) = |x - b - W m|^2 / s^2 + |m|^2,        log|C| = D log s^2 + log|M|

Under a Gaussian guide N(mu, S) the bound is closed as well:

    ELBO = -D/2 log(2 pi s^2) - (|x - b - W mu|^2 + tr(W S W')) / (2 s^2) - KL(N(mu, S) to N(0, I))

All of it is exact, also where cells of x are not observed: those rows of W drop out.

Maximum likelihood is probabilistic PCA (Tipping and Bishop 1999, eqs. 7 and 8). With its columns along
the principal axes W' W is diagonal, and so is the posterior's covariance: a linear encoder with a
diagonal covariance therefore attains the same optimum as one with a full covariance, and the bound
is tight there (Lucas, Tucker, Grosse and Norouzi 2019).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    AbstractModel,
    AbstractProposal,
    Datum,
    DistributionProposal,
    InputError,
    Terms,
)
from taut.distributions import closed_kl, kl_per_dimension

__all__ = ["LinearGaussian"]

_LOG_2PI = math.log(2.0 * math.pi)


class LinearGaussian(AbstractModel):
    """z ~ N(0, I_d), x | z ~ N(W z + b, exp(log_noise)^2 I_D).

    Attributes:
        weight: W, (D, d).
        shift: b, (D,).
        log_noise: logarithm of s, ().
    """

    weight: Float[Array, "D d"]
    shift: Float[Array, " D"]
    log_noise: Float[Array, ""]

    @classmethod
    def init(cls, data_dim: int, latent_dim: int, *, key: PRNGKeyArray) -> "LinearGaussian":
        """A starting point: entries of W from N(0, 1/d), b = 0, s = 1."""
        weight = jax.random.normal(key, (data_dim, latent_dim)) / math.sqrt(latent_dim)
        return cls(weight, jnp.zeros(data_dim), jnp.zeros(()))

    @classmethod
    def maximum_likelihood(
        cls, x: Float[Array | np.ndarray, "N D"], latent_dim: int
    ) -> "LinearGaussian":
        """The global maximum of the mean evidence over rows, exact.

        W = U (L - s^2)^(1/2) with the leading eigenvalues L and eigenvectors U of the covariance
        (divided by N), s^2 the mean of the other eigenvalues, b the mean row.

        Arguments:
            x: rows, every cell observed.
            latent_dim: d, from 1 to D - 1.

        Raises:
            InputError: cells that are not finite; d out of range; rows that lie in d dimensions, so
                that s = 0 and the evidence is unbounded.
        """
        rows = np.asarray(x, np.float64)
        data_dim = rows.shape[1]
        if not 1 <= latent_dim < data_dim:
            raise InputError(
                f"1 to {data_dim - 1} latent dimensions for {data_dim} columns",
                f"{latent_dim}", "fewer", where="latent_dim",
            )  # fmt: skip
        if rows.shape[0] == 0 or not np.isfinite(rows).all():
            raise InputError(
                "rows of finite numbers", "none, or cells that are not finite",
                "dropping or imputing them", where="x",
            )  # fmt: skip
        mean = rows.mean(axis=0)
        _, singular, axes = np.linalg.svd(rows - mean, full_matrices=False)
        eigenvalues = np.zeros(data_dim)
        eigenvalues[: singular.size] = singular**2 / rows.shape[0]
        variance = eigenvalues[latent_dim:].mean()
        if variance <= data_dim * np.finfo(np.float64).eps * eigenvalues[0]:
            raise InputError(
                f"rows that vary in more than {latent_dim} dimensions",
                "rows without a residual, whose evidence is unbounded",
                "fewer latent dimensions or more rows", where="x",
            )  # fmt: skip
        spread = np.sqrt(np.maximum(eigenvalues[:latent_dim] - variance, 0.0))
        return cls(
            jnp.asarray(axes[:latent_dim].T * spread),
            jnp.asarray(mean),
            jnp.asarray(0.5 * math.log(variance)),
        )

    def terms(self, datum: Datum, z: Any) -> Terms:
        rows = self._observed(datum)
        log_likelihood = self._log_normalizer(rows) - 0.5 * jnp.sum(
            ((rows.residual - rows.weight @ z) / self.noise) ** 2
        )
        return {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: jnp.asarray(self.prior().log_prob(z))}

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        if not isinstance(q, DistributionProposal):
            return None
        per_dimension = kl_per_dimension(q.distribution, self.prior())
        if per_dimension is not None:
            return per_dimension
        whole = closed_kl(q.distribution, self.prior())
        return None if whole is None else whole[None]

    def prior(self) -> dist.Distribution:
        latent_dim = self.weight.shape[1]
        return dist.Normal(jnp.zeros(latent_dim), jnp.ones(latent_dim)).to_event(1)

    def mean(self, z: Float[Array, " d"]) -> Float[Array, " D"]:
        """E[x | z] = W z + b."""
        return self.weight @ z + self.shift

    def sample(self, z: Float[Array, " d"], key: PRNGKeyArray) -> Array:
        """One draw x ~ N(W z + b, s^2 I)."""
        return dist.Normal(self.mean(z), self.noise).sample(key)

    @property
    def noise(self) -> Float[Array, ""]:
        """s, the standard deviation of a cell given z, in the data's units."""
        return jnp.exp(self.log_noise)

    def posterior(self, datum: Datum) -> dist.MultivariateNormal:
        """p(z | x), exact; with event shape (d,)."""
        rows = self._observed(datum)
        precision = self._precision(rows)
        return dist.MultivariateNormal(self._mean(rows, precision), precision_matrix=precision)

    def log_evidence(self, datum: Datum) -> Float[Array, ""]:
        """log p(x) of the observed cells in nats, exact."""
        rows = self._observed(datum)
        precision = self._precision(rows)
        mean = self._mean(rows, precision)
        left = jnp.sum(((rows.residual - rows.weight @ mean) / self.noise) ** 2)
        log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(precision))))
        return self._log_normalizer(rows) - 0.5 * (left + jnp.sum(mean**2) + log_det)

    def elbo(self, datum: Datum, q: dist.Distribution) -> Float[Array, ""]:
        """The ELBO under a Gaussian q in nats, exact; a lower bound of `log_evidence`.

        Arguments:
            datum: one row.
            q: a `MultivariateNormal`, or a `Normal` that is independent over its event, (d,).

        Raises:
            InputError: another family.
        """
        rows = self._observed(datum)
        left = jnp.sum((rows.residual - rows.weight @ q.mean) ** 2)
        left = left + jnp.sum(_image_of_spread(rows.weight, q))
        kl = closed_kl(q, self.prior())
        assert kl is not None  # there is a rule for every pair of Gaussians
        return self._log_normalizer(rows) - 0.5 * left / self.noise**2 - kl

    def _observed(self, datum: Datum) -> "_Rows":
        residual = datum.x - self.shift
        if datum.mask is None:
            return _Rows(self.weight, residual, jnp.asarray(float(residual.size)))
        return _Rows(
            jnp.where(datum.mask[:, None], self.weight, 0.0),
            jnp.where(datum.mask, residual, 0.0),
            jnp.sum(datum.mask, dtype=residual.dtype),
        )

    def _precision(self, rows: "_Rows") -> Float[Array, "d d"]:
        scaled = rows.weight / self.noise
        return jnp.eye(scaled.shape[1]) + scaled.T @ scaled

    def _mean(self, rows: "_Rows", precision: Float[Array, "d d"]) -> Float[Array, " d"]:
        pull = rows.weight.T @ rows.residual / self.noise**2
        return cho_solve((jnp.linalg.cholesky(precision), True), pull)

    def _log_normalizer(self, rows: "_Rows") -> Float[Array, ""]:
        """-D/2 log(2 pi s^2) over the observed cells."""
        return -rows.cells * (0.5 * _LOG_2PI + self.log_noise)


class _Rows(NamedTuple):
    """The rows of W and of x - b whose cells are observed (zero elsewhere), and their number."""

    weight: Float[Array, "D d"]
    residual: Float[Array, " D"]
    cells: Float[Array, ""]


def _image_of_spread(weight: Float[Array, "D d"], q: dist.Distribution) -> Float[Array, " D"]:
    """The diagonal of W S W' for the covariance S of q."""
    if isinstance(q, dist.MultivariateNormal):
        return jnp.sum((weight @ jnp.asarray(q.scale_tril)) ** 2, axis=1)
    if isinstance(q, dist.Independent) and isinstance(q.base_dist, dist.Normal):
        return weight**2 @ q.variance
    raise InputError(
        "a Gaussian guide",
        type(q).__name__,
        "a MultivariateNormal, or a Normal with `.to_event(1)`",
        where="elbo",
    )
