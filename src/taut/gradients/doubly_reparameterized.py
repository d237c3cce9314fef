"""The doubly reparameterized gradient.

    L = log((1/K) sum_k w_k^r) / r,    r = 1 - alpha,    w~_k = w_k^r / sum_j w_j^r

    grad_phi E[L] = E sum_k (alpha w~_k + (1 - alpha) w~_k^2) d log w_k/dz_k dz_k/dphi

IWAE is alpha = 0, with the weights w~^2 (Tucker, Lawson, Gu and Maddison 2019). The score in
sum_k w~_k grad_phi log w_k is itself reparameterized: E[w~_k grad_phi log q(z_k)] = E[(dw~_k/dz_k)
dz_k/dphi] at fixed densities, with dw~_k = r w~_k (1 - w~_k) d log w_k; what is left of w~_k is
w~_k - r w~_k (1 - w~_k). As K grows the signal-to-noise ratio of the guide's gradient rises like
sqrt(K), where the reparameterized one's falls like 1/sqrt(K), if the weights have the moments for it.

The model's gradient is sum_k w~_k grad_theta log w_k as ever. Both come from one surrogate: the bound
with the density slot frozen, and the path of draw k scaled by alpha + (1 - alpha) w~_k. Unbiased in
both parameter groups. One evaluation of the model and of the guide per particle, since compilation
merges the pass that makes w~ with the one that is differentiated; one more of a guide whose draws bring
their density.
"""

from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import IWAE, AbstractBound, Renyi
from taut.core import (
    AbstractModel,
    AbstractProposal,
    Datum,
    Draws,
    InputError,
    Terms,
    as_proposal,
    frozen,
    option,
    particles,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.path import require_path
from taut.gradients.scaled import scaled
from taut.gradients.strata import require_masses
from taut.gradients.warmup import refuse_warmup

__all__ = ["DoublyReparameterized"]


class DoublyReparameterized(AbstractEstimator):
    """Doubly reparameterized, for the importance-weighted bounds."""

    name: ClassVar[str] = "dreg"
    claims: ClassVar[tuple[Claim, ...]] = tuple(
        Claim(bound, "unbiased", "unbiased", "quadrature") for bound in ("iwae", "renyi")
    )

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
        alpha = _order(bound)
        q = as_proposal(guide(datum))
        require_masses(bound, q)
        require_path(q, instead="vimco")
        still = frozen(q)
        weighed = particles(
            frozen(model), lambda _: still, lambda _: still, datum, key, bound.minted
        )
        weights = jax.nn.softmax(weighed.log_mass + (1.0 - alpha) * weighed.log_w)
        path = _ScaledPath(q, jax.lax.stop_gradient(alpha + (1.0 - alpha) * weights))
        minted = particles(model, lambda _: path, lambda _: still, datum, key, bound.minted)
        return Surrogate(value=bound(minted), surrogate=bound.objective(minted, step))

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)


def _order(bound: AbstractBound) -> float:
    if isinstance(bound, IWAE):
        refuse_warmup(bound, "doubly reparameterized gradient")
        return 0.0
    if isinstance(bound, Renyi):
        return bound.alpha
    raise InputError(
        "the bound iwae or renyi, whose weights depend on the draws",
        f"the bound '{bound.name}'",
        f"{option('gradient', 'stl')}, or {option('bound', 'iwae')}",
        where="doubly reparameterized gradient",
    )


class _ScaledPath(AbstractProposal):
    """The same draws, with the derivative of draw k multiplied by scale_k.

    Attributes:
        q: the proposal.
        scale: (K,).
    """

    q: AbstractProposal
    scale: Float[Array, " K"]

    @property
    def reparameterized(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        draws = self.q.draw(key, num_particles)
        return Draws(scaled(draws.z, self.scale), draws.log_mass)

    def terms(self, z: Any) -> Terms:
        return self.q.terms(z)
