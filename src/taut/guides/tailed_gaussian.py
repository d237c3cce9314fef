"""The full-rank Gaussian family with tails that each member has or has not.

    without    z = m + L e                    e ~ N(0, I)
    with       z = m + L e sqrt(nu / c)       c ~ chi-squared(nu), nu = 10:  Student's t

The Gaussian that fits a posterior best has lighter tails than most posteriors have, and the few draws
beyond its reach then carry weights without bound. Against N(m, L L^T) itself the t costs at most a few
tenths of a nat, in any dimension. Where the posterior is a Gaussian it would cost that for nothing.
"""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from scipy.special import gammaln

from taut.core import NEG_LOG_Q, AbstractProposal, Draws, Terms, equal_mass
from taut.guides.abstract import AbstractFamily
from taut.guides.full_rank import FullRankGaussian

__all__ = ["TailedGaussian", "TailedProposal"]

_DEGREES = 10  # even, so that chi-squared is a sum of exponentials


class TailedProposal(AbstractProposal):
    """N(m, L L^T), or the t with that location and scale.

    Attributes:
        loc: m, (d,).
        tril: L, lower triangular with a positive diagonal, (d, d).
        tailed: whether it is the t.
        inverse: L^{-1}, with which a density at any z is a product; a solution for each z takes longer
            than most decoders.
    """

    loc: Float[Array, " d"]
    tril: Float[Array, "d d"]
    tailed: Bool[Array, ""]
    inverse: Float[Array, "d d"]

    @property
    def reparameterized(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        normal_key, radius_key = jax.random.split(key)
        dtype = self.loc.dtype
        noise = jax.random.normal(normal_key, (num_particles, self.loc.shape[0]), dtype)
        halves = jax.random.exponential(radius_key, (num_particles, _DEGREES // 2), dtype)
        chi_squared = 2 * halves.sum(axis=1)
        stretch = jnp.where(self.tailed, jnp.sqrt(_DEGREES / chi_squared), 1.0)
        e = stretch[:, None] * noise
        terms = {NEG_LOG_Q: -self._log_q(jnp.sum(e**2, axis=1))}
        return Draws(self.loc + e @ self.tril.T, equal_mass(num_particles), terms)

    def terms(self, z: Any) -> Terms:
        e = self.inverse @ (z - self.loc)
        return {NEG_LOG_Q: -self._log_q(jnp.sum(e**2))}

    def mean(self) -> Float[Array, " d"]:
        return self.loc

    def _log_q(self, distance: Float[Array, "..."]) -> Float[Array, "..."]:
        """log q where |L^{-1} (z - m)|^2 is that; nats."""
        d, nu = self.loc.shape[0], _DEGREES
        constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
        with_tails = constant - 0.5 * (nu + d) * jnp.log1p(distance / nu)
        without = -0.5 * (d * math.log(2 * math.pi) + distance)
        volume = jnp.log(jnp.diagonal(self.tril)).sum()
        return jnp.where(self.tailed, with_tails, without) - volume


class TailedGaussian(AbstractFamily):
    """Features are those of the plain `FullRankGaussian`, and one that is positive with tails."""

    name: ClassVar[str] = "tailed-gaussian"

    latent_dim: int = eqx.field(static=True)

    @property
    def num_features(self) -> int:
        return FullRankGaussian(self.latent_dim).num_features + 1

    @staticmethod
    def features(
        loc: Float[Array, " d"], tril: Float[Array, "d d"], tailed: Bool[Array, ""]
    ) -> Float[Array, " F"]:
        """The features that name a member."""
        lower = tril[jnp.tril_indices(loc.shape[0], -1)]
        parts = [loc, jnp.log(jnp.diagonal(tril)), lower, jnp.where(tailed, 1.0, -1.0)[None]]
        return jnp.concatenate([part.astype(loc.dtype) for part in parts])

    def __call__(self, features: Float[Array, " F"]) -> TailedProposal:
        d = self.latent_dim
        below = jnp.tril_indices(d, -1)
        tril = jnp.diag(jnp.exp(features[d : 2 * d])).at[below].set(features[2 * d : -1])
        inverse = jax.scipy.linalg.solve_triangular(tril, jnp.eye(d, dtype=tril.dtype), lower=True)
        return TailedProposal(features[:d], tril, features[-1] > 0, inverse)
