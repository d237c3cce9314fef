"""RELAX: REBAR with a free network added to the control variate.

    g = [f(b) - c(a~)] grad_l log q(b) + grad_l c(a) - grad_l c(a~)
    c(a) = eta f(relaxed(a, T)) + r(x, a; psi)

r is a network for each layer of the datum, the hard layers above and the layer's units relaxed at
temperature 1 (Grathwohl, Choi, Wu, Roeder and Duvenaud 2018); see `conditional_control`. It starts at 0,
where RELAX is REBAR. Unbiased for the ELBO in both parameter groups, whatever T, eta and psi, which are
learned from the variance of the estimate. Bernoulli and categorical latents, one layer or two.

Needs what REBAR needs, and the guide at `init`, from which r reads the shape of z. L draws cost what
they cost REBAR, 2L evaluations of the model and 3L where T is learned, and passes of r.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractProposal, Datum, InputError, option
from taut.gradients.abstract import AbstractEstimator, Claim, Surrogate
from taut.gradients.conditional_control import contribution, controlled_draws, relaxed_signal
from taut.gradients.discrete_elbo import discrete_elbo, discrete_proposal
from taut.gradients.evaluations import Evaluations
from taut.gradients.learned_control import LearnedControl, check_control, moved, scaled, start
from taut.gradients.rebar import control_cost
from taut.networks import MLP

__all__ = ["RELAX"]


class RELAX(AbstractEstimator):
    """REINFORCE with relaxed latents and a neural network as baseline, unbiased.

    Attributes:
        temperature: how soft the relaxed latents are at the start; it is learned.
        scale: factor of the baseline at the start; it is learned.
        hidden: widths of the hidden layers of the network; the paper's code has (200, 200) for 200
            units, which takes longer than a linear decoder.
        learning_rate: step size at which temperature, factor and network are learned; 0 holds them.
    """

    name: ClassVar[str] = "relax"
    claims: ClassVar[tuple[Claim, ...]] = (Claim("elbo", "unbiased", "unbiased", "piecewise"),)

    temperature: float = eqx.field(static=True, default=0.5)
    scale: float = eqx.field(static=True, default=1.0)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(32,))
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
        free = None
        if control.networks is not None:
            features = _features(datum)

            def network(i: int, own: Any, noises: Any, above: Any) -> Float[Array, ""]:
                return control.networks[i](_inputs(features, (*above, own)))[0]

            free = contribution(elbo, draws, network, 1.0)
        local, learned = scaled(draws.plain, part, control, free, learn=learn)
        return elbo.surrogate(draws.particles, local, draws.z, aux=learned)

    def cost(self, bound: AbstractBound, q: AbstractProposal | None = None) -> Evaluations:
        return control_cost(bound, q, learn=self.learning_rate > 0)

    def init(self, key: PRNGKeyArray, example: Datum, guide: Any = None) -> LearnedControl:
        if guide is None:
            raise InputError(
                "the guide, from which the free network reads the shape of z",
                "none",
                f"`init(key, example, guide)`, or {option('gradient', 'rebar')}",
                where="relax gradient",
            )

        def inputs() -> tuple[Array, ...]:
            q = discrete_proposal(guide, example, name=self.name)
            z = jax.tree.map(lambda leaf: leaf[0], q.draw(jax.random.key(0), 1).z)
            layers = q.layers_of(z)
            return tuple(_inputs(_features(example), layers[: i + 1]) for i in range(len(layers)))

        sizes = [shape.shape[0] for shape in jax.eval_shape(inputs)]
        keys = jax.random.split(key, len(sizes))
        networks = tuple(_network(n, self.hidden, k) for n, k in zip(sizes, keys, strict=True))
        return start(self.temperature, self.scale, self.learning_rate, networks)

    def update(self, aux: Any, gradients: Any, statistics: Any, step: Int[Array, ""]) -> Any:
        if self.learning_rate == 0:
            return aux
        return moved(aux, gradients, self.learning_rate)


def _network(size: int, hidden: tuple[int, ...], key: PRNGKeyArray) -> MLP:
    """A network that is 0 everywhere, and not its gradient in the last layer."""
    made = MLP(size, hidden, 1, activation="tanh", key=key)
    return eqx.tree_at(lambda m: m.layers[-1].weight, made, replace_fn=jnp.zeros_like)


def _features(datum: Datum) -> Float[Array, " F"]:
    """x as numbers, 0 where it was not observed."""
    leaves = jax.tree.leaves(datum.x)
    masks = [None] * len(leaves) if datum.mask is None else jax.tree.leaves(datum.mask)
    seen = [x if m is None else jnp.where(m, x, 0) for x, m in zip(leaves, masks, strict=True)]
    return jnp.concatenate([jnp.ravel(x).astype(float) for x in seen])


def _inputs(features: Float[Array, " F"], layers: tuple[Any, ...]) -> Float[Array, " inputs"]:
    """The datum and the units of layers, centred at 0."""
    return jnp.concatenate([features, *(2.0 * jnp.ravel(z) - 1.0 for z in layers)])
