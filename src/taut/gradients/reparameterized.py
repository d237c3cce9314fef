"""The reparameterized (pathwise) gradient.

    z = T(eps; phi),  eps ~ r:     grad_phi E_q[f(z; phi)] = E_r[grad_phi f(T(eps; phi); phi)]

All three slots are live, so the gradient of the objective at the draws is the estimate. Unbiased in
both parameter groups for every bound whose expectation is over the draws, under the usual regularity
(T differentiable almost everywhere, f continuous). T is a location-scale map or the inverse of the
distribution function (Kingma and Welling 2014, section 2.4), or given implicitly by it: dz/dphi =
-(dF/dphi) / q(z) (Figurnov, Mohamed and Mnih 2018), which NumPyro uses for the gamma family.

Enumerated draws need no path: their masses carry the gradient, which is then exact. One evaluation of
the model and of the guide per particle.
"""

from typing import Any, ClassVar

from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import (
    AbstractModel,
    Datum,
    InputError,
    StratifiedProposal,
    as_proposal,
    option,
    particles,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.path import family
from taut.gradients.strata import require_masses

__all__ = ["Reparameterized"]


class Reparameterized(AbstractEstimator):
    """Differentiates through the draws of z, the usual choice for continuous latents."""

    name: ClassVar[str] = "reparameterized"
    claims: ClassVar[tuple[Claim, ...]] = tuple(
        Claim(bound, "unbiased", "unbiased", "quadrature") for bound in ("elbo", "iwae", "renyi")
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
        q = as_proposal(guide(datum))
        if not q.reparameterized:
            raise InputError(
                "a guide whose draws are differentiable in its parameters",
                f"{family(q)}, whose draws are not",
                f"{option('gradient', 'score-function')}, or a Gaussian guide",
                where="gradient",
            )
        if isinstance(q, StratifiedProposal):  # of a chain's fibres nothing reads the masses
            require_masses(bound, q)
        minted = particles(model, guide, guide, datum, key, bound.minted)
        return Surrogate(value=bound(minted), surrogate=bound.objective(minted, step))
