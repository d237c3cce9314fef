"""The exponential guide, q(z | x) = Exp(phi): one rate for every datum.

Two paths carry its draws, both exact and differentiable in phi:

    scale          z = eps / phi,              eps ~ Exp(1)
    inverse-cdf    z = -log1p(-u) / phi,       u ~ Uniform(0, 1)
"""

from typing import Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from taut.core import Datum, InputError
from taut.distributions import InverseCDF
from taut.models.exponential_normal import log_rate

__all__ = ["ExponentialGuide", "ExponentialPath"]

ExponentialPath = Literal["scale", "inverse-cdf"]


class ExponentialGuide(eqx.Module):
    """Exp(phi) over a scalar z >= 0, whatever the datum.

    Attributes:
        log_phi: logarithm of the rate, ().
        path: how its draws are made.
    """

    log_phi: Float[Array, ""]
    path: ExponentialPath = eqx.field(static=True, default="scale")

    def __check_init__(self):
        if self.path not in get_args(ExponentialPath):
            raise InputError(
                f"one of {', '.join(get_args(ExponentialPath))}", repr(self.path), "scale",
                where="path",
            )  # fmt: skip

    @classmethod
    def at(cls, phi: float, *, path: ExponentialPath = "scale") -> "ExponentialGuide":
        """The guide with a given rate.

        Raises:
            InputError: a rate that is not positive and finite.
        """
        return cls(log_rate(phi, where="phi"), path)

    @property
    def phi(self) -> Float[Array, ""]:
        """The rate, positive."""
        return jnp.exp(self.log_phi)

    def __call__(self, datum: Datum) -> dist.Distribution:
        """q(z | x) with event shape ()."""
        exponential = dist.Exponential(self.phi)
        return exponential if self.path == "scale" else InverseCDF(exponential)
