"""The straight-through gradient.

    forward  z = hard(noise),      backward  dz = d mean(l)                 through the mean
                                             dz = d relaxed(noise, T; l)    through the relaxed draw

The step from logits to outcomes is passed over as if it were its mean (Bengio, Leonard and Courville
2013) or the relaxed draw of the same noise (straight-through Gumbel-softmax: Jang, Gu and Poole
2017). Biased in the guide, except through the mean where f is linear in z; T -> 0 does not remove the
bias. The model is evaluated at hard draws only, so its gradient is unbiased and the value is that of the
discrete ELBO. L draws cost L evaluations of the model and of the guide.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum, InputError
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.discrete_elbo import discrete_elbo
from taut.gradients.evaluations import Evaluations
from taut.gradients.temperature import Temperature, temperature_of

__all__ = ["StraightThrough"]


class StraightThrough(AbstractEstimator):
    """Draws discrete latents and differentiates as if they were continuous, biased.

    Attributes:
        through: what is differentiated in place of a draw: the `mean` of the latents, or their
            `relaxed` draw.
        temperature: how soft the relaxed latents are, as a function of the step; used with
            `relaxed`.
    """

    name: ClassVar[str] = "straight-through"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "biased", "piecewise"),)

    readers: ClassVar[Mapping[str, Any]] = {"temperature": temperature_of}

    through: Literal["mean", "relaxed"] = eqx.field(static=True, default="mean")
    temperature: Temperature = eqx.field(default=Temperature(), metadata={"text": float})

    def __check_init__(self):
        if self.through not in ("mean", "relaxed"):
            raise InputError(
                "mean or relaxed", repr(self.through), "mean", where="straight-through"
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
        elbo = discrete_elbo(bound, model, guide, datum, step, name=self.name)
        q, temperature = elbo.q, self.temperature(step)

        def draw(noise: Any) -> Any:
            parts = q.layers_of(noise)

            def through(i: int, at: Any) -> Array:
                relaxed = self.through == "relaxed"
                soft = at.relaxed(parts[i], temperature) if relaxed else at.mean()
                return at.hard(parts[i]) + soft - jax.lax.stop_gradient(soft)

            return q.ancestral(through)

        particles = elbo.particles(jax.vmap(draw)(q.noise(key, elbo.bound.num_draws)))
        objective = bound.objective(particles, step)
        return Surrogate(bound(particles), objective, objective=objective)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return Evaluations(model=bound.minted, guide=bound.minted)

    def departure(self, bound: AbstractBound) -> str | None:
        return "the guide's gradient passes over the step from logits to outcomes"
