"""The evidence lower bound.

    ELBO(x) = E_q[log p(x, z) - log q(z | x)]                                  sampled KL
            = E_q[log p(x | z)] - KL(q(z | x) to p(z))                         closed KL
            = log p(x) - KL(q(z | x) to p(z | x))

Both are unbiased for the ELBO, which is a lower bound of log p(x). The closed form is used for all of
the prior and -log q terms at once, where the model offers it. Where it offers one of a Gaussian q_0
near q alone, such as the base of a flow, whose draws z_0 are of the same noise,

    KL(q to p) = KL(q_0 to p) + E[log q(z) - log p(z) - log q_0(z_0) + log p(z_0)]

and what is sampled has no variance where the flow moves nothing: a richer guide then starts with the
gradient of the Gaussian one, not only with its value.

The objective may weigh the KL by beta (Higgins et al. 2017), warm it up linearly (Bowman et al. 2016,
Sonderby et al. 2016) and give each group `free_bits` nats for nothing. Free bits act on each datum's
KL; Kingma et al. (2016, eq. 15) act on the minibatch mean, which is not a function of one datum.
"""

from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.bounds.abstract import AbstractBound
from taut.core import LOG_PRIOR, NEG_LOG_Q, InputError, Particles, Side, option, weighted_sum

__all__ = ["ELBO"]


class ELBO(AbstractBound):
    """The evidence lower bound.

    Attributes:
        num_draws: draws of z for each row and step.
        kl: how KL(q(z | x) to p(z)) is computed: `closed`, `sampled`, or `auto`, which is closed
            where there is a formula, in part where there is one of a part.
        beta: factor of the KL in the objective; 1 for the ELBO itself.
        warmup_steps: steps over which the factor of the KL rises linearly to `beta`; 0 for none.
        free_bits: nats of KL in each latent group that cost nothing in the objective; 0 for none.
    """

    name: ClassVar[str] = "elbo"
    linear: ClassVar[bool] = True

    num_draws: int = eqx.field(static=True, default=1)
    kl: Literal["auto", "closed", "sampled"] = eqx.field(static=True, default="auto")
    beta: float = eqx.field(static=True, default=1.0)
    warmup_steps: int = eqx.field(static=True, default=0, metadata={"flag": "kl_warmup_steps"})
    free_bits: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.num_draws < 1:
            raise InputError(
                "at least one draw", f"{self.num_draws}", "1", where=option("num_draws")
            )
        if self.kl not in ("auto", "closed", "sampled"):
            raise InputError("auto, closed or sampled", repr(self.kl), "auto", where="kl")
        if not self.beta >= 0:
            raise InputError("a factor of at least 0", f"{self.beta}", "1", where="beta")
        if self.warmup_steps < 0:
            raise InputError(
                "at least 0 steps", f"{self.warmup_steps}", "0", where=option("kl_warmup_steps")
            )
        if not self.free_bits >= 0:
            raise InputError("at least 0 nats", f"{self.free_bits}", "0", where=option("free_bits"))
        if self.free_bits > 0 and self.kl == "sampled":
            raise InputError(
                "a closed KL, which free bits clip per group",
                "a sampled one",
                f"{option('kl', 'closed')} or {option('free_bits', 0)}",
                where=option("free_bits"),
            )

    @property
    def minted(self) -> int:
        return self.num_draws

    @property
    def separable(self) -> bool:
        # Free bits clip the average over the draws, which is not the average of what is clipped.
        return self.num_draws == 1 or self.free_bits == 0

    @property
    def kl_weights(self) -> tuple[str, ...]:
        asked = {
            "beta": self.beta != 1,
            "kl_warmup_steps": self.warmup_steps > 0,
            "free_bits": self.free_bits > 0,
        }
        return tuple(name for name, weighs in asked.items() if weighs)

    @property
    def side(self) -> Side:
        return "lower"

    def __call__(self, particles: Particles) -> Float[Array, ""]:
        reconstruction, kl = self.parts(particles)
        return reconstruction - jnp.sum(kl)

    def parts(self, particles: Particles) -> tuple[Float[Array, ""], Float[Array, " G"]]:
        """The two parts whose difference is the ELBO, nats.

        Returns:
            E_q of every term but the prior and -log q, (); and the KL from q to the prior per group,
            (G,), closed or averaged over the draws.
        """
        closed = self._closed(particles)
        outside = [t for name, t in particles.terms.items() if name not in (LOG_PRIOR, NEG_LOG_Q)]
        reconstruction = weighted_sum(particles.log_mass, _summed(particles, outside))
        if closed is not None:
            kl = jax.vmap(weighted_sum, in_axes=(None, 1))(particles.log_mass, closed)
        else:
            inside = [t for name, t in particles.terms.items() if name in (LOG_PRIOR, NEG_LOG_Q)]
            if self.kl == "auto" and particles.control is not None:
                inside.append(particles.control)
            kl = -weighted_sum(particles.log_mass, _summed(particles, inside))[None]
        return reconstruction, kl

    def objective(self, particles: Particles, step: Int[Array, ""] | int) -> Float[Array, ""]:
        reconstruction, kl = self.parts(particles)
        if self.free_bits > 0:
            if self._closed(particles) is None:
                raise InputError(
                    "a closed KL, which free bits clip per group",
                    "a guide and prior without one",
                    option("free_bits", 0),
                    where=option("free_bits"),
                )
            kl = jnp.maximum(kl, self.free_bits)
        return reconstruction - self._factor(step) * jnp.sum(kl)

    def departure(self, num_steps: int) -> str | None:
        parts = []
        if self.beta != 1:
            parts.append(f"the KL is weighed by beta = {self.beta:g}")
        if num_steps < self.warmup_steps:
            parts.append(f"the KL warm-up was at step {num_steps} of {self.warmup_steps}")
        if self.free_bits > 0:
            parts.append(f"{self.free_bits:g} nats of KL per group are free")
        return "; ".join(parts) or None

    def _factor(self, step: Int[Array, ""] | int) -> Float[Array, ""] | float:
        if self.warmup_steps == 0:
            return self.beta
        return self.beta * jnp.minimum(1.0, (step + 1) / self.warmup_steps)

    def _closed(self, particles: Particles) -> Float[Array, "K G"] | None:
        if self.kl == "closed" and particles.kl is None:
            raise InputError(
                "a guide and prior with a closed KL",
                "a pair without a rule",
                option("kl", "auto"),
                where="kl",
            )
        return None if self.kl == "sampled" else particles.kl


def _summed(particles: Particles, terms: list[Float[Array, "..."]]) -> Float[Array, " K"]:
    start = jnp.zeros_like(particles.log_mass)
    return sum((t.sum(axis=tuple(range(1, t.ndim))) for t in terms), start=start)
