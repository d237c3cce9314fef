"""REBAR: REINFORCE with the relaxed draw of the same noise as control variate.

    g = [f(b) - eta f(b~)] grad_l log q(b) + eta grad_l f(b^) - eta grad_l f(b~)

b is hard, b^ is relaxed at temperature T from the same noise, b~ is relaxed from noise given b (Tucker,
Mnih, Maddison, Lawson and Sohl-Dickstein 2017, with f at soft z as in `concrete`); see
`conditional_control`. Unbiased for the ELBO in both parameter groups, whatever T and eta, which are
learned from the variance of the estimate. Bernoulli and categorical latents, one layer or two.

Needs the likelihood and log p(z) at soft z. L draws cost 2L evaluations of the model and 3L where T is
learned, (1 + layers) L and (1 + 2 layers) L in general, and as many of the guide.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractDiscreteProposal, AbstractModel, AbstractProposal, Datum
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.conditional_control import contribution, controlled_draws, relaxed_signal
from taut.gradients.discrete_elbo import discrete_elbo
from taut.gradients.evaluations import Evaluations
from taut.gradients.learned_control import LearnedControl, check_control, moved, scaled, start

__all__ = ["REBAR", "control_cost"]


class REBAR(AbstractEstimator):
    """REINFORCE with relaxed latents as baseline, unbiased.

    Attributes:
        temperature: how soft the relaxed latents are at the start; it is learned.
        scale: factor of the baseline at the start; it is learned.
        learning_rate: step size at which temperature and factor are learned; 0 holds them. The
            default is ten times the smallest rate that the paper's code uses for the rest.
    """

    name: ClassVar[str] = "rebar"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "unbiased", "piecewise"),)

    temperature: float = eqx.field(static=True, default=0.5)
    scale: float = eqx.field(static=True, default=1.0)
    learning_rate: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self):
        check_control(self.temperature, self.learning_rate, where=self.name)

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
        draws = controlled_draws(elbo, key)

        def part(log_temperature: Any) -> Any:
            at = jnp.exp(log_temperature)
            return contribution(elbo, draws, relaxed_signal(elbo, at), at)

        learn = aux is not None and self.learning_rate > 0
        control = start(self.temperature, self.scale, self.learning_rate) if aux is None else aux
        local, learned = scaled(draws.plain, part, control, learn=learn)
        return elbo.surrogate(draws.particles, local, draws.z, aux=learned)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return control_cost(bound, q, learn=self.learning_rate > 0)

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> LearnedControl:
        return start(self.temperature, self.scale, self.learning_rate)

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        if self.learning_rate == 0:
            return aux
        return moved(aux, gradients, self.learning_rate)


def control_cost(bound: AbstractBound, q: AbstractProposal | None, *, learn: bool) -> Evaluations:
    """Hard draws, relaxed ones for each layer, and their derivatives in the temperature if learned."""
    layers = q.num_layers if isinstance(q, AbstractDiscreteProposal) else 1
    count = bound.minted * (1 + layers * (2 if learn else 1))
    return Evaluations(model=count, guide=count)
