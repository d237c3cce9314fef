"""The importance-weighted bound.

    L_K(x) = E log (1/K) sum_k w_k,        ELBO = L_1 <= L_2 <= ... <= log p(x)

Rises with K towards log p(x) wherever q covers the posterior (Burda, Grosse and Salakhutdinov 2016,
theorem 1). With enumerated draws of unequal mass it is the logarithm of the whole sum.

The objective may weigh log p(z) - log q(z | x) in each log-weight by a factor that rises linearly to 1
(as for the ELBO, Sonderby et al. 2016): it keeps latents in use that are pruned in the first epochs.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.bounds.abstract import AbstractBound
from taut.core import (
    LOG_PRIOR,
    NEG_LOG_Q,
    InputError,
    Particles,
    Side,
    log_weighted_sum,
    option,
    total,
)

__all__ = ["IWAE"]


class IWAE(AbstractBound):
    """The importance-weighted bound of K draws, tighter than the ELBO.

    Attributes:
        num_particles: number of draws K of z for each row.
        warmup_steps: steps over which the factor of log p(z) - log q(z | x) in the objective rises
            linearly to 1; 0 for none.
    """

    name: ClassVar[str] = "iwae"
    linear: ClassVar[bool] = False

    num_particles: int = eqx.field(static=True, default=5)
    warmup_steps: int = eqx.field(static=True, default=0, metadata={"flag": "kl_warmup_steps"})

    def __check_init__(self):
        if self.num_particles < 1:
            raise InputError(
                "at least one particle", f"{self.num_particles}", "5", where=option("num_particles")
            )
        if self.warmup_steps < 0:
            raise InputError(
                "at least 0 steps", f"{self.warmup_steps}", "0", where=option("kl_warmup_steps")
            )

    @property
    def minted(self) -> int:
        return self.num_particles

    @property
    def kl_weights(self) -> tuple[str, ...]:
        return ("kl_warmup_steps",) if self.warmup_steps > 0 else ()

    @property
    def side(self) -> Side:
        return "lower"

    def __call__(self, particles: Particles) -> Float[Array, ""]:
        particles.refuse_subsampled("the IWAE bound")
        return log_weighted_sum(particles.log_mass, particles.log_w)

    def objective(self, particles: Particles, step: Int[Array, ""] | int) -> Float[Array, ""]:
        if self.warmup_steps == 0:
            return self(particles)
        particles.refuse_subsampled("the IWAE bound")
        factor = jnp.minimum(1.0, (step + 1) / self.warmup_steps)
        weighed = {
            name: factor * term if name in (LOG_PRIOR, NEG_LOG_Q) else term
            for name, term in particles.terms.items()
        }
        return log_weighted_sum(particles.log_mass, total(weighed, batch_ndim=1))

    def departure(self, num_steps: int) -> str | None:
        if num_steps >= self.warmup_steps:
            return None
        return f"the KL warm-up was at step {num_steps} of {self.warmup_steps}"
