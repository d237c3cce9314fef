"""VIMCO: the score function of a multi-sample bound, each particle with a signal of its own.

    L     = log((1/K) sum_j w_j)
    L_-k  = log((1/K) (w^_k + sum_{j != k} w_j)),      w^_k = the mean of the other weights
    grad_phi:  sum_k (L - L_-k) grad_phi log q(z_k) + grad_phi L at fixed draws

L_-k does not depend on z_k, so the estimate is unbiased with either mean, geometric or arithmetic (Mnih
and Rezende 2016). The second part is -sum_k w~_k grad_phi log q(z_k): not of mean zero, and kept. For
Renyi bounds the same holds of w^(1 - alpha) and 1/(1 - alpha) times the logarithms.

Unbiased in both parameter groups, for any guide with a density. One evaluation of the model and of the
guide per particle.
"""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import IWAE, AbstractBound, Renyi
from taut.core import AbstractModel, AbstractProposal, Datum, InputError, as_proposal, option
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.still import still_particles
from taut.gradients.strata import require_masses
from taut.gradients.warmup import refuse_warmup

__all__ = ["VIMCO"]


class VIMCO(AbstractEstimator):
    """REINFORCE for importance-weighted bounds, each draw's baseline made of the others.

    Attributes:
        mean: which mean of the other weights stands in for the one that is left out: `geometric` or
            `arithmetic`.
    """

    name: ClassVar[str] = "vimco"
    claims: ClassVar[tuple[Claim, ...]] = tuple(
        Claim(bound, "unbiased", "unbiased", "enumeration") for bound in ("iwae", "renyi")
    )

    mean: Literal["geometric", "arithmetic"] = eqx.field(static=True, default="geometric")

    def __check_init__(self):
        if self.mean not in ("geometric", "arithmetic"):
            raise InputError("geometric or arithmetic", repr(self.mean), "geometric", where="mean")

    def __call__(
        self,
        bound: AbstractBound,
        model: AbstractModel,
        guide: Any,
        datum: Datum,
        key: PRNGKeyArray,
        *,
        step: Int[Array, ""] | int = 0,
        aux: Any = None,
    ) -> Surrogate:
        order = _power(bound)
        q = as_proposal(guide(datum))
        require_masses(bound, q)
        minted = still_particles(model, q, datum, key, bound.minted)
        log_terms = jax.lax.stop_gradient(order * minted.log_w)
        signals = (_log_mean(log_terms) - self._without_each(log_terms)) / order
        surrogate = bound.objective(minted, step) + jnp.sum(signals * minted.log_q)
        return Surrogate(value=bound(minted), surrogate=surrogate)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)

    def _without_each(self, log_terms: Float[Array, " K"]) -> Float[Array, " K"]:
        """log of the mean term with each one in turn replaced by the mean of the others, (K,)."""
        k = log_terms.shape[0]
        itself = jnp.eye(k, dtype=bool)
        if self.mean == "geometric":
            others = jnp.sum(jnp.where(itself, 0.0, log_terms), axis=1) / (k - 1)
            return _log_mean(jnp.where(itself, others[:, None], log_terms))
        # An arithmetic mean changes nothing by joining what it is the mean of.
        rest = jax.nn.logsumexp(jnp.where(itself, -jnp.inf, log_terms), axis=1)
        return rest - jnp.log(k - 1.0)


def _power(bound: AbstractBound) -> float:
    """1 - alpha."""
    if bound.minted < 2 or bound.separable:
        few = bound.minted < 2
        raise InputError(
            "at least two particles inside a logarithm",
            f"{bound.minted}" if few else f"the bound '{bound.name}', an average over draws",
            f"{option('bound', 'iwae')} with {option('num_particles', 2)}"
            if few
            else f"{option('gradient', 'rloo')}, or {option('bound', 'iwae')}",
            where="vimco",
        )
    if isinstance(bound, IWAE):
        refuse_warmup(bound, "vimco")
        return 1.0
    if isinstance(bound, Renyi):
        return 1.0 - bound.alpha
    raise InputError(
        "the bound iwae or renyi",
        f"the bound '{bound.name}'",
        option("gradient", "score-function"),
        where="vimco",
    )


def _log_mean(log_terms: Float[Array, "... K"]) -> Float[Array, "..."]:
    return jax.nn.logsumexp(log_terms, axis=-1) - jnp.log(1.0 * log_terms.shape[-1])
