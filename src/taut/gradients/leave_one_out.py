"""The leave-one-out score-function gradient, RLOO, which is the gradient of VarGrad.

    (1/L) sum_l (f_l - mean_{j != l} f_j) grad_phi log q(z_l),        f = log w for the ELBO

Each draw's baseline is the mean of the others, which do not depend on it, so the estimate is unbiased
(Kool, van Hoof and Welling 2019). It is minus the gradient of half the sample variance of log w at fixed
draws (Richter, Boustati, Nüsken, Ruiz and Akyildiz 2020), so at q(z | x) = p(z | x) each draw's gradient
in the guide is zero. The -1 of grad_phi log w is the same for all draws and leaves with the baseline.

Needs two draws or more of a bound that is an average over them: the ELBO, with the KL in closed form or
from the draws. Refused where the guide enumerates a class, as the mean of the others tells which one was
left out. Unbiased in both parameter groups. One evaluation of the model and of the guide per draw.
"""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import ELBO, AbstractBound
from taut.core import (
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    as_proposal,
    option,
    weighted_sum,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.still import each_alone, still_log_q, still_particles
from taut.gradients.strata import require_masses

__all__ = ["LeaveOneOut"]


class LeaveOneOut(AbstractEstimator):
    """REINFORCE with the mean of the other draws as baseline (RLOO), for two draws or more."""

    name: ClassVar[str] = "rloo"
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim("elbo", "unbiased", "unbiased", "enumeration"),
        Claim("elbo", "unbiased", "unbiased", "quadrature"),
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
        require_masses(bound, q)
        if q.strata > 1:
            raise InputError(
                "draws of one distribution, any of which may stand in for the one that is left out",
                f"{q.strata} classes that the guide enumerates",
                f"{option('gradient', 'reparameterized')}, or {option('gradient', 'score-function')}",
                where="leave-one-out gradient",
            )
        if bound.minted < 2:
            count = "num_draws" if isinstance(bound, ELBO) else "num_particles"
            raise InputError(
                "at least two draws, of which one is left out",
                f"{bound.minted}",
                f"{option(count, 2)}, or {option('gradient', 'score-function')}",
                where="leave-one-out gradient",
            )
        if not bound.separable:
            raise InputError(
                "an objective that is an average over the draws",
                f"the bound '{bound.name}', which joins them",
                f"{option('gradient', 'vimco')}, or {option('bound', 'elbo')} without free bits",
                where="leave-one-out gradient",
            )
        minted = still_particles(model, q, datum, key, bound.minted)
        signal = each_alone(bound, minted, step)
        others = (jnp.sum(signal) - signal) / (minted.num_particles - 1)
        score = weighted_sum(minted.log_mass, (signal - others) * minted.log_q)
        objective = bound.objective(still_log_q(minted), step)
        return Surrogate(value=bound(minted), surrogate=objective + score, objective=objective)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)
