"""`Particles`: weighted draws for one datum, the currency of the library.

    log_w = log p(x, z) - log q(z | x) = sum of the signed terms,        z ~ q(z | x)

    evidence estimate = logsumexp(log_mass + log_w)          `log_weighted_sum`
    ELBO              = sum_k exp(log_mass_k) log_w_k        `weighted_sum`

Everything downstream (bounds, gradients, evidence, audit) is a function of these arrays.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from taut.errors import InputError

__all__ = [
    "LOG_LIKELIHOOD",
    "LOG_MASK",
    "LOG_PRIOR",
    "LOG_VOLUME",
    "NEG_LOG_Q",
    "Particles",
    "Terms",
    "log_weighted_sum",
    "total",
    "weighted_sum",
]

LOG_LIKELIHOOD = "log_likelihood"
LOG_MASK = "log_mask"
LOG_PRIOR = "log_prior"
NEG_LOG_Q = "-log_q"
LOG_VOLUME = "log_volume"

Terms = dict[str, Float[Array, "..."]]


class Particles(eqx.Module):
    """K weighted draws of z for one datum.

    Attributes:
        z: the draws, a pytree with leading axis K.
        log_mass: log of the mass of each draw, (K,); -log K unless draws are enumerated, stratified
            or resampled.
        terms: named and signed parts of the log-weight in nats, each (K,) or (K, G) over layers or
            groups; they add up to `log_w`.
        kl: closed-form KL(q to prior) in nats per group, (K, G), which stands for all the prior and
            -log q terms together; None where there is no closed form.
        control: what may be added to each log-weight in an average over the draws, (K,): of mean zero,
            it takes up most of the noise of the prior and -log q terms; nats. None without one.
        subsampled: True for minibatch log-weights over plates, which are unbiased inside linear
            bounds only.
        dirac: True when the guide has no density: its log-volume stands in the terms instead.
        exhaustive: True when the draws are the guide's whole support, so that sums over them are exact.
        strata: how many consecutive draws are one replicate, which stands for the guide as a whole.
    """

    z: Any
    log_mass: Float[Array, " K"]
    terms: Terms
    kl: Float[Array, "K G"] | None = None
    control: Float[Array, " K"] | None = None
    subsampled: bool = eqx.field(static=True, default=False)
    dirac: bool = eqx.field(static=True, default=False)
    exhaustive: bool = eqx.field(static=True, default=False)
    strata: int = eqx.field(static=True, default=1)

    @property
    def num_particles(self) -> int:
        return self.log_mass.shape[0]

    @property
    def log_w(self) -> Float[Array, " K"]:
        """Log-weights in nats, (K,)."""
        return total(self.terms, batch_ndim=1)

    @property
    def log_q(self) -> Float[Array, " K"]:
        """The guide's log-density at the draws in nats, (K,).

        Raises:
            InputError: the guide is Dirac and has none.
        """
        if self.dirac or NEG_LOG_Q not in self.terms:
            raise InputError(
                "a guide with a density",
                "a guide that maps each row to one z, which has neither log q nor an entropy",
                "the term 'log_volume'",
                where="log_q",
            )
        return -_over_groups(self.terms[NEG_LOG_Q], 1)

    def refuse_subsampled(self, what: str) -> None:
        """Raise when the log-weights hold minibatch sums, which `what` would bias."""
        if self.subsampled:
            raise InputError(
                "log-weights of all rows",
                f"log-weights of a minibatch, which bias {what}",
                "the ELBO, or all rows of the plate",
                where=what,
            )


def total(terms: Terms, *, batch_ndim: int = 0) -> Float[Array, "..."]:
    """The sum of all terms over names and groups, keeping the leading `batch_ndim` axes; nats."""
    return sum((_over_groups(t, batch_ndim) for t in terms.values()), start=jnp.zeros(()))


def weighted_sum(log_mass: Float[Array, " K"], values: Float[Array, " K"]) -> Float[Array, ""]:
    """sum_k exp(log_mass_k) values_k, where zero mass counts zero, also against -inf."""
    massive = log_mass > -jnp.inf
    mass = jnp.exp(jnp.where(massive, log_mass, 0.0))
    return jnp.sum(jnp.where(massive, mass * jnp.where(massive, values, 0.0), 0.0))


def log_weighted_sum(
    log_mass: Float[Array, " K"], log_values: Float[Array, " K"]
) -> Float[Array, ""]:
    """log sum_k exp(log_mass_k + log_values_k), where zero mass counts zero, also against inf."""
    massive = log_mass > -jnp.inf
    log_terms = jnp.where(massive, log_mass, 0.0) + jnp.where(massive, log_values, 0.0)
    return jax.nn.logsumexp(jnp.where(massive, log_terms, -jnp.inf))


def _over_groups(term: Float[Array, "..."], batch_ndim: int) -> Float[Array, "..."]:
    return term.sum(axis=tuple(range(batch_ndim, term.ndim)))
