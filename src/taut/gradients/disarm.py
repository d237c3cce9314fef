"""DisARM, an antithetic pair for binary latents with the uniforms summed out.

    grad_l E_q[f] = E[(f(z) - f(z')) / 2 (z - z') sigmoid(|l|)]

z and z' are draws of u and 1 - u. It is ARM's estimate averaged over all u that give the same pair, so
its variance is never larger (Dong, Mnih and Tucker 2020; the same estimator is U2G of Yin, Ho, Mnih and
Tucker 2020). A bit that is the same in both gets nothing. L draws are L independent pairs, averaged.
Unbiased for the ELBO in both parameter groups. Two layers take a pair each, with the other layers' noise
in common; categorical latents are refused.

L pairs cost 2L evaluations of the model, (1 + layers) L in general, and as many of the guide.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.antithetic import antithetic_evaluations, antithetic_surrogate
from taut.gradients.discrete_elbo import discrete_elbo
from taut.gradients.evaluations import Evaluations

__all__ = ["DisARM"]


class DisARM(AbstractEstimator):
    """Two opposite draws for bits, less noisy than ARM, unbiased."""

    name: ClassVar[str] = "disarm"
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
        return antithetic_surrogate(elbo, key, _mean_weight)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        count = antithetic_evaluations(bound.minted, q)
        return Evaluations(model=count, guide=count)


def _mean_weight(
    q: Any, noise: Float[Array, " D"], z: Float[Array, " D"], partner: Float[Array, " D"]
) -> Float[Array, " D"]:
    return 0.5 * (z - partner) * jax.nn.sigmoid(jnp.abs(q.logits))
