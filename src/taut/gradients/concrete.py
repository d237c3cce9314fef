"""The Concrete or Gumbel-softmax gradient.

    grad_l E_q[f(z)]  ~  E_noise[grad_l f(relaxed(noise, T; l))]

Draws are replaced by points of the simplex (sigmoid or softmax of the perturbed logits over T), through
which the path is differentiated (Maddison, Mnih and Teh 2017; Jang, Gu and Poole 2017). f is that of
the discrete ELBO, continued to soft z: the likelihood by its decoder, log p(z) and log q(z) linearly, a
closed KL as it stands. It is the gradient of another function than the discrete ELBO: biased in the
guide, by a multiple of T as T -> 0, while its variance grows like 1/T.

The value and the model's gradient are taken at the hard draws of the same noise, so both are those of
the discrete ELBO and the model's gradient is unbiased; the papers train the decoder at soft draws.
L draws cost 2L evaluations of the model and of the guide.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.discrete_elbo import discrete_elbo
from taut.gradients.evaluations import Evaluations
from taut.gradients.temperature import Temperature, temperature_of

__all__ = ["Concrete"]


class Concrete(AbstractEstimator):
    """Relaxes discrete latents to continuous ones (Gumbel-softmax), biased.

    Attributes:
        temperature: how soft the relaxed latents are, as a function of the step.
    """

    name: ClassVar[str] = "gumbel-softmax"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "biased", "piecewise"),)

    readers: ClassVar[Mapping[str, Any]] = {"temperature": temperature_of}

    temperature: Temperature = eqx.field(default=Temperature(), metadata={"text": float})

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
        temperature = self.temperature(step)
        noise = elbo.q.noise(key, elbo.bound.num_draws)
        particles = elbo.particles(jax.vmap(elbo.q.hard)(noise))
        soft = jax.vmap(lambda one: elbo.signal(elbo.q.relaxed(one, temperature)))(noise)
        objective = bound.objective(particles, step)
        return Surrogate(bound(particles), objective + jnp.mean(soft), objective=objective)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return Evaluations(model=2 * bound.minted, guide=2 * bound.minted)

    def departure(self, bound: AbstractBound) -> str | None:
        return "the guide's gradient is that of relaxed draws, which are not draws of the guide"
