"""The exponential-normal model, whose bound, posterior and evidence are all in closed form.

    z ~ Exp(theta),        x | z ~ N(z, 1),        guide Exp(phi);        theta, phi are rates

    ELBO(x)      = -1/phi^2 + (x - theta)/phi + log(theta/phi) + 1 - x^2/2 - log(2 pi)/2
    d/dtheta     = 1/theta - 1/phi
    d/dphi       = 2/phi^3 - (x - theta)/phi^2 - 1/phi
    p(z | x)     = N(z; x - theta, 1) / Phi(x - theta),    z >= 0
    log p(x)     = log theta - theta x + theta^2/2 + log Phi(x - theta)
                 = log theta + log N(x; 0, 1) + log R(theta - x),    R the Mills ratio

The first line of log p(x) is used for x > theta, the second elsewhere: together they keep full
precision in both tails. All of it is exact. The posterior is no exponential, so the gap

    log p(x) - ELBO(x) = KL(Exp(phi) to p(z | x)) > 0

is positive for every phi. Both rates are positive and stored as their logarithms, which are free.

The ELBO is concave in the guide's mean 1/phi, so for a given theta its only stationary point is its
maximum: the positive root of phi^2 + (x - theta) phi - 2 = 0. At the best theta, which is phi itself, it
is -1/phi^2 + x/phi + log N(x; 0, 1): highest at theta = phi = 2/x for x > 0, while for x <= 0 it rises
towards log N(x; 0, 1) as theta = phi goes to infinity, and there is no optimum.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import log_ndtr
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
from taut.distributions import closed_kl
from taut.distributions.positive_normal import PositiveNormal, log_mills

__all__ = ["ExponentialNormal", "JointOptimum", "RateGradients", "joint_optimum", "log_rate"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class RateGradients(NamedTuple):
    """Derivatives of the ELBO in the two rates, nats per unit of the rate, each ()."""

    theta: Float[Array, ""]
    phi: Float[Array, ""]


class JointOptimum(NamedTuple):
    """Where the ELBO is highest in both rates.

    Attributes:
        theta: rate of the prior.
        phi: rate of the guide; equal to theta.
        elbo: the mean ELBO there, nats per row.
    """

    theta: float
    phi: float
    elbo: float


class ExponentialNormal(AbstractModel):
    """z ~ Exp(theta), x | z ~ N(z, 1); z and x are scalars.

    Attributes:
        log_theta: logarithm of the prior's rate, ().
    """

    log_theta: Float[Array, ""]

    @classmethod
    def at(cls, theta: float) -> "ExponentialNormal":
        """The model with a given rate.

        Raises:
            InputError: a rate that is not positive and finite.
        """
        return cls(log_rate(theta, where="theta"))

    @property
    def theta(self) -> Float[Array, ""]:
        """The prior's rate, positive."""
        return jnp.exp(self.log_theta)

    def terms(self, datum: Datum, z: Any) -> Terms:
        inside = z >= 0
        log_prior = self.log_theta - self.theta * jnp.where(inside, z, 0.0)
        return {
            LOG_LIKELIHOOD: -0.5 * (datum.x - z) ** 2 - _HALF_LOG_2PI,
            LOG_PRIOR: jnp.where(inside, log_prior, -jnp.inf),
        }

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        if not isinstance(q, DistributionProposal):
            return None
        value = closed_kl(q.distribution, self.prior())
        return None if value is None else value[None]

    def prior(self) -> dist.Exponential:
        return dist.Exponential(self.theta)

    def mean(self, z: Float[Array, ""]) -> Float[Array, ""]:
        """E[x | z] = z."""
        return z

    def sample(self, z: Float[Array, ""], key: PRNGKeyArray) -> Array:
        """One draw x ~ N(z, 1)."""
        return dist.Normal(z, 1.0).sample(key)

    def posterior(self, datum: Datum) -> PositiveNormal:
        """p(z | x), exact: the normal around x - theta, conditioned on being positive."""
        return PositiveNormal(datum.x - self.theta, jnp.ones_like(self.theta))

    def log_evidence(self, datum: Datum) -> Float[Array, ""]:
        """log p(x) in nats, exact."""
        t = self.theta - datum.x
        above = self.theta * (0.5 * self.theta - datum.x) + log_ndtr(-jnp.where(t > 0, 0.0, t))
        below = -0.5 * datum.x**2 - _HALF_LOG_2PI + log_mills(jnp.where(t > 0, t, 0.0))
        return self.log_theta + jnp.where(t > 0, below, above)

    def elbo(self, datum: Datum, phi: Float[Array, ""] | float) -> Float[Array, ""]:
        """The ELBO under Exp(phi) in nats, exact; a lower bound of `log_evidence`.

        Arguments:
            datum: one row, x ().
            phi: the guide's rate, positive.
        """
        x, theta = datum.x, self.theta
        fit = -1.0 / jnp.asarray(phi) ** 2 + (x - theta) / phi
        return fit + self.log_theta - jnp.log(phi) + 1.0 - 0.5 * x**2 - _HALF_LOG_2PI

    def elbo_gradients(self, datum: Datum, phi: Float[Array, ""] | float) -> RateGradients:
        """Derivatives of `elbo` in theta and phi, exact."""
        theta, mean = self.theta, 1.0 / jnp.asarray(phi)
        return RateGradients(
            theta=1.0 / theta - mean,
            phi=2.0 * mean**3 - (datum.x - theta) * mean**2 - mean,
        )

    def best_phi(self, datum: Datum) -> Float[Array, ""]:
        """The rate of the guide at which the ELBO is highest for this theta, exact.

        (theta - x + sqrt((x - theta)^2 + 8)) / 2, in the form of the root that does not cancel.
        """
        ahead = datum.x - self.theta
        reach = jnp.abs(ahead) + jnp.sqrt(ahead**2 + 8.0)
        return jnp.where(ahead > 0, 4.0 / reach, 0.5 * reach)

    def gap(self, datum: Datum, phi: Float[Array, ""] | float) -> Float[Array, ""]:
        """KL(Exp(phi) to p(z | x)) in nats, exact: what `elbo` lacks of `log_evidence`."""
        return self.log_evidence(datum) - self.elbo(datum, phi)


def joint_optimum(x: Float[Array | np.ndarray, "..."] | float) -> JointOptimum:
    """Where the ELBO is highest in theta and phi together: theta = phi = 2 / mean(x).

    Arguments:
        x: one observation, or many that share theta and phi; the ELBO is then averaged over them.

    Raises:
        InputError: a mean of x that is not positive, for which there is no optimum; the message says
            which value is approached as the rates grow.
    """
    x = np.asarray(x, np.float64)
    if x.size == 0 or not np.isfinite(x).all():
        raise InputError("finite observations", "none or not finite", "dropping them", where="x")
    mean = float(x.mean())
    at_infinity = -0.5 * float((x**2).mean()) - _HALF_LOG_2PI
    if mean <= 0:
        raise InputError(
            "a positive mean of x, without which the ELBO has no maximum",
            f"{mean:g}: it rises towards {at_infinity:.6g} nats as theta = phi goes to infinity",
            "holding theta fixed and `best_phi`",
            where="joint_optimum",
        )
    return JointOptimum(theta=2.0 / mean, phi=2.0 / mean, elbo=at_infinity + 0.25 * mean**2)


def log_rate(rate: float, *, where: str) -> Float[Array, ""]:
    """The logarithm of a rate.

    Raises:
        InputError: it is not positive and finite.
    """
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError("a positive, finite rate", f"{rate:g}", "1.0", where=where)
    return jnp.asarray(math.log(rate))
