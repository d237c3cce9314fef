"""ARM, augment-REINFORCE-merge, for binary latents.

    z = 1[u > sigmoid(-l)],   z' = 1[u < sigmoid(l)],        u uniform
    grad_l E_q[f] = E_u[(f(z) - f(z')) (u - 1/2)]

z' is the draw of 1 - u; with D bits both evaluations are shared by all of them (Yin and Zhou 2019,
theorem 1). It is REINFORCE on the noise of logistic draws, averaged over an antithetic pair, so it needs
no baseline. Unbiased for the ELBO in both parameter groups. Two layers take a pair each, with the other
layers' noise in common; categorical latents are refused.

L draws cost 2L evaluations of the model, (1 + layers) L in general, and as many of the guide.
"""

from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.antithetic import antithetic_evaluations, antithetic_surrogate
from taut.gradients.discrete_elbo import discrete_elbo
from taut.gradients.evaluations import Evaluations

__all__ = ["ARM"]


class ARM(AbstractEstimator):
    """Two opposite draws for bits (augment, REINFORCE, merge), unbiased."""

    name: ClassVar[str] = "arm"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "unbiased", "piecewise"),)

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
        elbo = discrete_elbo(bound, model, guide, datum, step, name=self.name)
        return antithetic_surrogate(elbo, key, _centred_uniform)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        count = antithetic_evaluations(bound.minted, q)
        return Evaluations(model=count, guide=count)


def _centred_uniform(
    q: Any, noise: Float[Array, " D"], z: Float[Array, " D"], partner: Float[Array, " D"]
) -> Float[Array, " D"]:
    return jax.nn.sigmoid(noise) - 0.5
