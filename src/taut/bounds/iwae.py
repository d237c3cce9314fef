"""The importance-weighted bound.

    L_K(x) = E log (1/K) sum_k w_k,        ELBO = L_1 <= L_2 <= ... <= log p(x)

Rises with K towards log p(x) wherever q covers the posterior (Burda, Grosse and Salakhutdinov 2016,
theorem 1). With enumerated draws of unequal mass it is the logarithm of the whole sum.
"""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, Int

from taut.bounds.abstract import AbstractBound
from taut.core import InputError, Particles, Side, log_weighted_sum

__all__ = ["IWAE"]


class IWAE(AbstractBound):
    """The K-sample importance-weighted lower bound.

    Attributes:
        num_particles: K.
    """

    name: ClassVar[str] = "iwae"
    linear: ClassVar[bool] = False

    num_particles: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        if self.num_particles < 1:
            raise InputError(
                "at least one particle", f"{self.num_particles}", "5", where="num_particles"
            )

    @property
    def minted(self) -> int:
        return self.num_particles

    @property
    def side(self) -> Side:
        return "lower"

    def __call__(self, particles: Particles) -> Float[Array, ""]:
        particles.refuse_subsampled("the IWAE bound")
        return log_weighted_sum(particles.log_mass, particles.log_w)

    def objective(self, particles: Particles, step: Int[Array, ""] | int) -> Float[Array, ""]:
        return self(particles)
