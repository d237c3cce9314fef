"""Second moments of rows about a point: as a matrix, or where rows are fewer than columns as the rows.

    S = G^T G / n,    G = rows about their mean, (n, D)

The nonzero eigenvalues of S are those of G G^T / n, (n, n), and S V = G^T (G V) / n: with n < D every
use of S costs n D numbers or n^2 D products, and no array is (D, D).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["KeptRows", "RowCovariance", "Scatter", "leading_directions"]


class Scatter(NamedTuple):
    """Moments of the rows about the mean of the model that gathered them.

    Attributes:
        total: sum of the weights, ().
        first: weighted sum of x - mu, (D,).
        second: weighted sum of (x - mu)(x - mu)^T, (D, D).
        log_evidence: weighted sum of log p(x) of the observed cells under that model, nats, where some
            were missing and are counted as it expects them; None where the moments themselves tell.
    """

    total: Float[Array, ""]
    first: Float[Array, " D"]
    second: Float[Array, "D D"]
    log_evidence: Float[Array, ""] | None = None

    def moved(self, shift: Float[Array, " D"]) -> "Scatter":
        """The same about a mean that lies further by `shift`."""
        cross = jnp.outer(self.first, shift)
        second = self.second - cross - cross.T + self.total * jnp.outer(shift, shift)
        return self._replace(first=self.first - self.total * shift, second=second)

    def shift(self) -> Float[Array, " D"]:
        """The rows' mean less the point, (D,)."""
        return self.first / self.total

    def covariance(self) -> Float[Array, "D D"]:
        """About the rows' mean, (D, D), dividing by n."""
        shift = self.shift()
        return self.second / self.total - jnp.outer(shift, shift)


class KeptRows(NamedTuple):
    """The rows themselves, less the mean of the model that keeps them.

    Attributes:
        rows: x - mu, (N, D).
    """

    rows: Float[Array, "N D"]

    def moved(self, shift: Float[Array, " D"]) -> "KeptRows":
        """The same about a mean that lies further by `shift`."""
        return KeptRows(self.rows - shift)

    def shift(self) -> Float[Array, " D"]:
        """The rows' mean less the point, (D,)."""
        return jnp.mean(self.rows, axis=0)

    def covariance(self) -> "RowCovariance":
        """About the rows' mean, dividing by n."""
        return RowCovariance(self.rows - self.shift())


class RowCovariance(NamedTuple):
    """S = G^T G / n, by G.

    Attributes:
        rows: G, (N, D).
    """

    rows: Float[Array, "N D"]

    def __matmul__(self, v: Float[Array, "D d"]) -> Float[Array, "D d"]:
        return self.rows.T @ (self.rows @ v) / len(self.rows)

    def trace(self) -> Float[Array, ""]:
        return jnp.sum(self.rows**2) / len(self.rows)


def leading_directions(
    covariance: Float[Array, "D D"] | RowCovariance, deviations: Float[Array, " D"], rank: int
) -> tuple[Float[Array, " R"], Float[Array, "D d"]]:
    """Eigenvalues and eigenvectors of diag(deviations)^-1 S diag(deviations)^-1.

    Arguments:
        covariance: S.
        deviations: positive, (D,).
        rank: number of vectors, at most N of rows.

    Returns:
        all eigenvalues that may differ from 0, falling, (min(N, D),), and the first `rank` vectors, of
        unit length, whose largest cell is positive.
    """
    if not isinstance(covariance, RowCovariance):
        values, vectors = jnp.linalg.eigh(covariance / deviations / deviations[:, None])
        return values[::-1], _signed(vectors[:, ::-1][:, :rank])
    scaled = covariance.rows / deviations
    values, vectors = jnp.linalg.eigh(scaled @ scaled.T / len(scaled))
    images = scaled.T @ vectors[:, ::-1][:, :rank]
    # A direction without variance has no image, and a loading of no length.
    lengths = jnp.linalg.norm(images, axis=0)
    return values[::-1], _signed(images / jnp.where(lengths > 0, lengths, 1.0))


def _signed(vectors: Float[Array, "D d"]) -> Float[Array, "D d"]:
    largest = jnp.argmax(jnp.abs(vectors), axis=0)
    return jnp.where(vectors[largest, jnp.arange(vectors.shape[1])] < 0, -vectors, vectors)
