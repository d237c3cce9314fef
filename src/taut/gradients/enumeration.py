"""Enumeration: the gradient with nothing, a factor, or one unit at a time left to no chance.

    all        sum_z q(z | x) f(z), differentiated in the masses                      exact
    layer:N    a layer summed over, the rest left to an estimator; unit:D, a unit     as `rest`
    units      E_q[sum_d sum_c f(z with z_d = c) grad q_d(c)]                         unbiased

The second is Rao-Blackwellized over one factor, see `collapsed`; it is unbiased where `rest` is. The
third is the local expectation gradient (Titsias and Lazaro-Gredilla 2015): REINFORCE Rao-Blackwellized
over each unit given the others, which are drawn. A layer above others draws those anew with the same
noise for each outcome. All are for the ELBO and both parameter groups.

All outcomes cost as many evaluations as there are, C^D of D units with C outcomes, and nothing is drawn;
a factor costs those of `rest` times its outcomes; the units of L draws cost L (1 + D (C - 1)), with
D (C - 1) summed over layers. More than `most_outcomes` for one datum are refused.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import (
    MOST_OUTCOMES,
    AbstractDiscreteProposal,
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    check_outcomes,
    chosen,
)
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.collapsed import RestGuide, collapsed_surrogate, rest_proposal
from taut.gradients.discrete_elbo import DiscreteELBO, discrete_elbo
from taut.gradients.evaluations import Evaluations
from taut.gradients.factor import Factor
from taut.gradients.leave_one_out import LeaveOneOut

__all__ = ["Enumeration"]


def _estimator_of(content: Any) -> AbstractEstimator:
    from taut.gradients import ESTIMATORS  # which this one is part of

    return chosen(ESTIMATORS, content, "rest")


class Enumeration(AbstractEstimator):
    """Sums over the values of discrete latents instead of drawing them, exact.

    Attributes:
        over: what is summed over: `all` latents together; each of the `units` with the others drawn;
            or one part, `layer:N`, `unit:D` or `layer:N,unit:D`, counted from 1, layer 1 next to the
            data.
        rest: gradient of the latents that are not summed over.
        most_outcomes: number of combinations for one row above which the sum is refused.
    """

    name: ClassVar[str] = "enumeration"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "unbiased", "piecewise"),)

    readers: ClassVar[Mapping[str, Any]] = {"rest": _estimator_of}

    over: str = eqx.field(static=True, default="all", metadata={"flag": "enumerate"})
    rest: AbstractEstimator = LeaveOneOut()
    most_outcomes: int = eqx.field(static=True, default=MOST_OUTCOMES)

    def __check_init__(self):
        if self.factor is not None and isinstance(self.rest, Enumeration):
            raise InputError(
                "an estimator that draws the rest", "enumeration of it too",
                "rloo, or over all outcomes", where="enumeration",
            )  # fmt: skip

    @property
    def factor(self) -> Factor | None:
        """The one that is summed over; None for all outcomes or each unit."""
        return None if self.over in ("all", "units") else Factor.parse(self.over)

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
        if self.over == "all":
            return _over_all(elbo, self.most_outcomes)
        factor = self.factor
        if factor is not None:
            factor.check(elbo.q)
        count = self.cost(bound, elbo.q).model
        check_outcomes(count, self.most_outcomes, elbo.q.latent_bytes)
        if factor is not None:
            return collapsed_surrogate(self.rest, elbo, factor, key, aux)
        return _over_units(elbo, key)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        if not isinstance(q, AbstractDiscreteProposal):
            return Evaluations(model=bound.minted, guide=bound.minted)
        if self.over == "all":
            return Evaluations(model=q.num_outcomes, guide=q.num_outcomes)
        if self.factor is not None:
            of_rest = self.rest.cost(bound, rest_proposal(q, self.factor))
            return Evaluations(*(self.factor.count(q) * n for n in of_rest))
        changes = sum(units * (each - 1) for units, each in q.unit_shapes)
        count = bound.minted * (1 + changes)
        return Evaluations(model=count, guide=count)

    def departure(self, bound: AbstractBound) -> str | None:
        return None if self.factor is None else self.rest.departure(bound)

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> Any:
        if self.factor is None or guide is None:
            return None if self.factor is None else self.rest.init(key, example)
        return self.rest.init(key, example, RestGuide(guide, self.factor, self.name))

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        return aux if self.factor is None else self.rest.update(aux, gradients, statistics, step)


def _over_all(elbo: DiscreteELBO, most: int) -> Surrogate:
    every = elbo.q.enumerated(most=most)
    made = elbo.particles(every.support, every.log_q)
    return Surrogate(elbo.bound(made), elbo.bound.objective(made, elbo.step))


def _over_units(elbo: DiscreteELBO, key: PRNGKeyArray) -> Surrogate:
    q, num_draws = elbo.still_q, elbo.bound.num_draws
    noise = q.noise(key, num_draws)
    draws = jax.vmap(q.hard)(noise)
    particles = elbo.particles(draws)

    def local(one_noise: Any, z: Any, f: Float[Array, ""]) -> tuple[Array, ...]:
        return tuple(_layer_estimate(elbo, i, one_noise, z, f) for i in range(q.num_layers))

    estimates = jax.vmap(local)(noise, draws, elbo.signals(particles))
    return elbo.surrogate(particles, estimates, draws)


def _layer_estimate(
    elbo: DiscreteELBO, i: int, noise: Any, z: Any, f: Float[Array, ""]
) -> Float[Array, "..."]:
    """The estimate in the logits of layer i from f at every change of one of its units."""
    q = elbo.still_q
    above, noises = q.layers_of(z)[: i + 1], q.layers_of(noise)
    at = q.layer(above[:i])
    numbers = at.to_numbers(above[i])
    num_units, num_each = at.unit_shape

    def changed(unit: Int[Array, ""], shift: Int[Array, ""]) -> Float[Array, ""]:
        other = numbers.at[unit].set((numbers[unit] + shift) % num_each)
        layers = (*above[:i], at.from_numbers(other))
        for j in range(i + 1, q.num_layers):
            layers = (*layers, q.layer(layers).hard(noises[j]))
        return elbo.signal(q.from_layers(layers))

    shifts = jnp.arange(1, num_each)
    over_shifts = jax.vmap(changed, in_axes=(None, 0))
    others = jax.vmap(over_shifts, in_axes=(0, None))(jnp.arange(num_units), shifts)
    by_shift = jnp.concatenate([jnp.full((num_units, 1), f), others], axis=1)
    # From shifts of the drawn outcome to outcomes: column c holds f at z_d = c.
    places = (jnp.arange(num_each) - numbers[:, None]) % num_each
    by_outcome = jnp.take_along_axis(by_shift, places, axis=1)

    def expectation(logits: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.exp(at.with_logits(logits).unit_log_probs) * by_outcome)

    return jax.grad(expectation)(at.logits)
