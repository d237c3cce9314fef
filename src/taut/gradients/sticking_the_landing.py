"""Sticking the landing: the path derivative of the ELBO.

    grad_phi log w(z(eps; phi); phi) = d log w/dz dz/dphi - grad_phi log q(z) at fixed z
                                       ^ kept                ^ the score: mean zero, dropped

The density slot is frozen. At q(z | x) = p(z | x) log w is constant in z, so that each draw's gradient
in the guide is zero, not only their mean (Roeder, Wu and Duvenaud 2017). The gradient in the model is
that of the reparameterized estimator.

Unbiased where the objective is an average over the draws: the ELBO with log q from the draws, at any
beta; IWAE and Renyi with one particle. Biased for more of them, whose scores are weighed by what the
draws are, and refused there. A KL in closed form has no score to drop: where the bound leaves open how
it is computed, the value takes the closed form and the gradient log q of the draws. One evaluation of
the model and of the guide per particle, and one more of a guide whose draws bring their density.
"""

from dataclasses import replace
from typing import Any, ClassVar

from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import ELBO, AbstractBound
from taut.core import (
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    as_proposal,
    frozen,
    option,
    particles,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.evaluations import Evaluations, density_apart
from taut.gradients.path import require_path
from taut.gradients.strata import require_masses

__all__ = ["StickingTheLanding"]


class StickingTheLanding(AbstractEstimator):
    """Reparameterized, without the score of q (sticking the landing)."""

    name: ClassVar[str] = "stl"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "unbiased", "quadrature"),)

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
        if not bound.separable:
            raise InputError(
                "the ELBO, whose dropped score has mean zero",
                f"the bound '{bound.name}' with {bound.minted} particles, on which it has not",
                f"{option('gradient', 'dreg')}, or {option('bound', 'elbo')}",
                where="sticking the landing",
            )
        require_path(q, instead="rloo")
        minted = particles(model, lambda _: q, lambda _: frozen(q), datum, key, bound.minted)
        by_draws = minted
        if isinstance(bound, ELBO):
            if minted.kl is not None:
                _refuse_closed(bound)
            by_draws = replace(minted, kl=None, control=None)
        return Surrogate(value=bound(minted), surrogate=bound.objective(by_draws, step))

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return density_apart(bound, q)


def _refuse_closed(bound: ELBO) -> None:
    """Refuse an ELBO that insists on the closed form of its KL."""
    if bound.kl == "closed" or bound.free_bits > 0:
        raise InputError(
            "log q from the draws, which is what is differentiated without its score",
            "a KL in closed form" if bound.kl == "closed" else "free bits of a KL in closed form",
            option("kl", "sampled") if bound.free_bits == 0 else option("free_bits", 0),
            where="sticking the landing",
        )
