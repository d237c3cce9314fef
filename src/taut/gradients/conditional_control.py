"""A control variate of relaxed draws given their outcome: what REBAR and RELAX share.

    g = [f(b) - c(a~)] grad_l log q(b) + grad_l c(a) - grad_l c(a~)

a = l + eps are the perturbed logits of the draw b = hard(a), and a~ are perturbed logits given b, as a
function of l and of fresh noise. E[c(a~) | b] = E[c(a) | b], so that what c adds has mean zero for every
continuous c that is differentiable almost everywhere (Tucker et al. 2017; Grathwohl et al. 2018). The
fresh noise is that which makes a~ = a in value, as in the papers' code: it has the law of noise and is
independent of b, which is all that is asked, and c is evaluated once.

Below a layer that is relaxed, layers are relaxed too, with the noise of the draw: hard ones would jump
as the layer above moves. g is linear in c; what c takes away is kept apart from f(b) grad log q(b):

    g = f(b) s - B(c),      B(c) = c(a) s - (da/dl - da~/dl)^T grad c(a),      s = grad_l log q(b)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractFactorizedProposal, Particles
from taut.gradients.discrete_elbo import DiscreteELBO

__all__ = [
    "ControlledDraws",
    "Estimates",
    "contribution",
    "controlled_draws",
    "relaxed_signal",
]

Estimates = tuple[Float[Array, "..."], ...]
"""For each layer an array of the shape of its logits, with leading axis L."""

Control = Callable[[int, Any, tuple[Any, ...], tuple[Any, ...]], Float[Array, ""]]
"""c as a function of the layer's number, its relaxed units, the noise of all layers and the hard layers
above it; ()."""


class ControlledDraws(NamedTuple):
    """L draws of one datum.

    Attributes:
        z: hard draws, with leading axis L.
        noise: what they are made of.
        particles: at z.
        plain: f(b) grad log q(b).
    """

    z: Any
    noise: Any
    particles: Particles
    plain: Estimates


def controlled_draws(elbo: DiscreteELBO, key: PRNGKeyArray) -> ControlledDraws:
    """Draws, and the score-function estimate without a baseline at each."""
    q = elbo.still_q
    noise = q.noise(key, elbo.bound.num_draws)
    z = jax.vmap(q.hard)(noise)
    particles = elbo.particles(z)

    def plain(one: Any, f: Float[Array, ""]) -> Estimates:
        at = q.layers_of(one)
        return tuple(f * _score(q.layer(at[:i]), at[i]) for i in range(q.num_layers))

    return ControlledDraws(z, noise, particles, jax.vmap(plain)(z, elbo.signals(particles)))


def contribution(
    elbo: DiscreteELBO,
    draws: ControlledDraws,
    control: Control,
    temperature: Float[Array, ""] | float,
) -> Estimates:
    """B(c) at every draw, differentiable in the temperature and in what `control` closes over.

    Arguments:
        elbo: what is differentiated.
        draws: from `controlled_draws`.
        control: c as a function of a layer relaxed at this temperature.
        temperature: positive.
    """
    q = elbo.still_q

    def one(z: Any, noise: Any) -> Estimates:
        at, noises = q.layers_of(z), q.layers_of(noise)

        def of_layer(i: int) -> Float[Array, "..."]:
            above = at[:i]
            layer = q.layer(above)
            fresh = layer.fresh_noise(at[i], noises[i])

            def difference(logits: Float[Array, "..."]) -> Float[Array, "..."]:
                live = layer.with_logits(logits)
                given = live.condition(at[i], fresh)
                return live.relaxed(noises[i], temperature) - live.relaxed(given, temperature)

            soft = layer.relaxed(noises[i], temperature)
            value, slope = jax.value_and_grad(lambda own: control(i, own, noises, above))(soft)
            _, pull = jax.vjp(difference, layer.logits)
            return value * _score(layer, at[i]) - pull(slope)[0]

        return tuple(of_layer(i) for i in range(q.num_layers))

    return jax.vmap(one)(draws.z, draws.noise)


def relaxed_signal(elbo: DiscreteELBO, temperature: Float[Array, ""] | float) -> Control:
    """f at the relaxed layer, with the layers below it relaxed: the control variate of REBAR."""
    q = elbo.still_q

    def control(i: int, own: Any, noises: Any, above: Any) -> Float[Array, ""]:
        layers = (*above, own)
        for j in range(i + 1, q.num_layers):
            layers = (*layers, q.layer(layers).relaxed(noises[j], temperature))
        return elbo.signal(q.from_layers(layers))

    return control


def _score(layer: AbstractFactorizedProposal, z: Float[Array, "..."]) -> Float[Array, "..."]:
    return z - layer.mean()
