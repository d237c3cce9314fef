"""The variational Renyi bound.

    L_alpha(x) = 1 / (1 - alpha) log E_q[w^(1 - alpha)]

Non-increasing in alpha: alpha = 0 is log p(x) (its K-sample estimate the IWAE bound), alpha -> 1 the
ELBO, alpha > 1 below it, alpha < 0 above log p(x) (Li and Turner 2016, theorem 1). The estimate puts K
draws inside the logarithm. In expectation it lies between the ELBO (K = 1) and L_alpha (K -> infinity),
hence below log p(x) for alpha >= 0; for alpha < 0 it may lie on either side, and its side is `none`.
"""

import math
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, Int

from taut.bounds.abstract import AbstractBound
from taut.core import InputError, Particles, Side, log_weighted_sum, option, weighted_sum

__all__ = ["Renyi"]


class Renyi(AbstractBound):
    """The variational Renyi bound of order alpha, estimated with K draws.

    Attributes:
        alpha: order: any finite number; 1 is the ELBO, 0 the importance-weighted bound.
        num_particles: number of draws K of z for each row.
    """

    name: ClassVar[str] = "renyi"
    linear: ClassVar[bool] = False

    alpha: float = eqx.field(static=True, default=0.5)
    num_particles: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        if not math.isfinite(self.alpha):
            raise InputError("a finite order", f"{self.alpha}", "0.5", where="alpha")
        if self.num_particles < 1:
            raise InputError(
                "at least one particle", f"{self.num_particles}", "5", where=option("num_particles")
            )

    @property
    def minted(self) -> int:
        return self.num_particles

    @property
    def separable(self) -> bool:
        return self.num_particles == 1 or self.alpha == 1

    @property
    def side(self) -> Side:
        return "lower" if self.alpha >= 0 else "none"

    def __call__(self, particles: Particles) -> Float[Array, ""]:
        particles.refuse_subsampled("the Renyi bound")
        if self.alpha == 1:
            return weighted_sum(particles.log_mass, particles.log_w)
        order = 1.0 - self.alpha
        return log_weighted_sum(particles.log_mass, order * particles.log_w) / order

    def objective(self, particles: Particles, step: Int[Array, ""] | int) -> Float[Array, ""]:
        return self(particles)
