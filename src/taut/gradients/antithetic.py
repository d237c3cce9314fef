"""Antithetic draws of binary latents, one layer at a time: what ARM and DisARM share.

For each layer i of bits a partner of the draw takes the mirrored noise in layer i, the same bits above
it and, below it, what the same noise makes of the new bits. Every draw and every partner is distributed
as q, so all of them enter the value and the model's gradient with equal mass.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractDiscreteProposal, AbstractProposal
from taut.gradients.abstract import Surrogate
from taut.gradients.discrete_elbo import DiscreteELBO

__all__ = ["antithetic_evaluations", "antithetic_surrogate"]

Weight = Callable[..., Float[Array, " D"]]


def antithetic_surrogate(elbo: DiscreteELBO, key: PRNGKeyArray, weight: Weight) -> Surrogate:
    """The surrogate of (f(z) - f(partner)) times a weight for each bit.

    Arguments:
        elbo: what is differentiated.
        key: random key of this datum.
        weight: (q of the layer, its noise, its bits, its bits in the partner) -> weights, (D,).
    """
    q = elbo.still_q
    noise = q.noise(key, elbo.bound.num_draws)
    draws = jax.vmap(lambda one: _with_partners(q, one))(noise)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), draws)
    particles = elbo.particles(flat)
    signals = elbo.signals(particles).reshape(elbo.bound.num_draws, -1)

    def local(one_noise: Any, one: Any, f: Float[Array, " pairs"]) -> tuple[Array, ...]:
        at, noises = q.layers_of(one), q.layers_of(one_noise)
        above = tuple(layer[0] for layer in at)
        return tuple(
            (f[0] - f[i + 1]) * weight(q.layer(above[:i]), noises[i], at[i][0], at[i][i + 1])
            for i in range(q.num_layers)
        )

    estimates = jax.vmap(local)(noise, draws, signals)
    first = jax.tree.map(lambda leaf: leaf[:, 0], draws)
    return elbo.surrogate(particles, estimates, first)


def antithetic_evaluations(num_draws: int, q: AbstractProposal | None) -> int:
    """Evaluations of the model: of each draw and of one partner for each layer."""
    layers = q.num_layers if isinstance(q, AbstractDiscreteProposal) else 1
    return (1 + layers) * num_draws


def _with_partners(q: AbstractDiscreteProposal, noise: Any) -> Any:
    """The draw of this noise and its partners, with leading axis 1 + layers."""
    mirrored = q.layers_of(q.antithetic(noise))
    parts = q.layers_of(noise)
    variants = [parts] + [
        tuple(mirrored[j] if j == i else parts[j] for j in range(q.num_layers))
        for i in range(q.num_layers)
    ]
    made = [q.hard(q.from_layers(variant)) for variant in variants]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
