"""`AbstractCovariance`: how the covariances of K Gaussians in D dimensions are tied and restricted.

Each kind holds a `scale` array, the factor or standard deviations, and offers two routes to the
log-densities of a batch:

    product    log N(x; mu_k, Sigma_k) = eta_k . f(x), one matrix product of features of x - origin
    centred    from the differences x - mu_k of every row and component

The product is several times faster and loses eps |Sigma_k^-1| |x - origin|^2 nats to cancellation; the
model takes the centred route where that is too much. Moments come from the same features.

The M-step with a floor is the maximum under Sigma_k >= F = diag(least), which leaves alone what lies
above it. With F^(-1/2) (S_k / n_k) F^(-1/2) = U L U^T,

    Sigma_k = F^(1/2) U max(L, 1) U^T F^(1/2)

as -log |Sigma| - tr(Sigma^-1 S) is largest where Sigma shares its eigenvectors with S, and has one peak
in each eigenvalue; the restricted kinds are the same in one dimension. Nothing but F has a unit, so that
the result moves with the columns' shift and scale.

`added` adds a constant to the diagonal instead, Sigma_k = S_k / n_k + added I. That is the M-step of
sum_n log sum_k pi_k N(x_n; mu_k, Sigma_k) exp(-added tr(Sigma_k^-1) / 2), whose E-step would weigh the
responsibilities by the exponential as well. With the responsibilities of the likelihood the two steps
raise no common objective, and the likelihood may fall. Under one tied covariance the exponential is the
same for all components and cancels from the responsibilities: there it is exact EM on the log-likelihood
less N added tr(Sigma^-1) / 2.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["HELD", "AbstractCovariance", "CovarianceFloor"]

HELD = 1 + 1e-3
"""Times the floor: what an eigenvalue of a covariance may gain by rounding."""


class CovarianceFloor(NamedTuple):
    """What keeps covariances positive definite.

    Attributes:
        least: diagonal of F, (D,), data units squared; 0 for no floor.
        added: added to the diagonal after the M-step, in data units squared.
    """

    least: Float[Array, " D"]
    added: Float[Array, ""]


class AbstractCovariance:
    """One kind of covariance; without state. K and D are read off `centers`."""

    name: ClassVar[str]
    correlated: ClassVar[bool]
    """Whether columns depend on one another given the component."""

    @abstractmethod
    def shape(self, num_components: int, size: int) -> tuple[int, ...]:
        """Shape of `scale`."""

    @abstractmethod
    def num_parameters(self, num_components: int, size: int) -> int:
        """Free parameters of all covariances."""

    @abstractmethod
    def num_features(self, size: int) -> int:
        """F, the length of `features` of one row."""

    @abstractmethod
    def isotropic(self, deviations: Float[Array, " D"], num_components: int) -> Float[Array, "..."]:
        """The `scale` of K equal covariances with these standard deviations and no correlation."""

    @abstractmethod
    def tril(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D D"]:
        """Lower triangular factors L_k, Sigma_k = L_k L_k^T."""

    @abstractmethod
    def variances(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        """Diagonals of the covariances."""

    @abstractmethod
    def precisions(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        """Diagonals of the inverse covariances."""

    @abstractmethod
    def log_volume(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, " K"]:
        """-(1/2) log |Sigma_k|."""

    def pivots(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> Float[Array, "K D"]:
        """Share of each column's variance that the columns before it do not explain."""
        return jnp.ones_like(centers)

    @abstractmethod
    def inverse(self, scale: Float[Array, "..."]) -> Float[Array, "..."]:
        """What `whitened` multiplies by: inverse factors or inverse standard deviations."""

    @abstractmethod
    def whitened(
        self, inverse: Float[Array, "..."], differences: Float[Array, "N K D"]
    ) -> Float[Array, "N K D"]:
        """L_k^-1 (x_n - mu_k), whose squared length is the Mahalanobis distance."""

    @abstractmethod
    def features(self, y: Float[Array, "N D"]) -> Float[Array, "N F"]:
        """Features of x - origin that log-densities and moments are linear in."""

    @abstractmethod
    def coefficients(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"]
    ) -> tuple[Float[Array, "..."], ...]:
        """What `kernel` needs of the components; `centers` are mu_k - origin."""

    @abstractmethod
    def kernel(
        self, coefficients: tuple[Float[Array, "..."], ...], features: Float[Array, "N F"]
    ) -> Float[Array, "N K"]:
        """-(1/2) Mahalanobis distance by the product route."""

    @abstractmethod
    def moments(
        self, features: Float[Array, "N F"], r: Float[Array, "N K"]
    ) -> tuple[Float[Array, " K"], Float[Array, "K D"], Float[Array, "..."]]:
        """Count, first and second moments about the origin."""

    @abstractmethod
    def second(
        self, differences: Float[Array, "N K D"], r: Float[Array, "N K"]
    ) -> Float[Array, "..."]:
        """Second moments about the means, from the differences."""

    def of_squares(self, squares: Float[Array, "K D"]) -> Float[Array, "..."]:
        """Second moments of columns that are independent given the component, from their squares."""
        raise NotImplementedError  # for those that are correlated

    @abstractmethod
    def moved(
        self,
        second: Float[Array, "..."],
        count: Float[Array, " K"],
        first: Float[Array, "K D"],
        shift: Float[Array, "K D"],
    ) -> Float[Array, "..."]:
        """Second moments about c + shift from those about c.

        sum r (y - s)(y - s)^T = second - first s^T - s first^T + count s s^T
        """

    @abstractmethod
    def maximized(
        self, second: Float[Array, "..."], count: Float[Array, " K"], floor: CovarianceFloor
    ) -> Float[Array, "..."]:
        """The `scale` after the M-step, from second moments about the new means.

        NaN where a covariance is not positive definite.
        """

    @abstractmethod
    def held(
        self, scale: Float[Array, "..."], centers: Float[Array, "K D"], least: Float[Array, " D"]
    ) -> Int[Array, " C"]:
        """Directions in which each covariance is that of the floor, (K,), or (1,) for a shared one."""
