"""Conditional densities inside layers: p(part of x | z), q(part of z | x).

A layer takes any callable from a value to a NumPyro distribution or proposal; `ConditionalNormal` is the
usual one. Parameters may be constants or what a network makes of the value.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError, as_proposal, total

__all__ = [
    "ConditionalNormal",
    "drawn_once",
    "is_reparameterized",
    "log_density",
    "parameters_at",
    "required",
]


class ConditionalNormal(eqx.Module):
    """N(loc, exp(log_scale)^2) in every cell, both of them functions of a value.

    Attributes:
        features: loc and log_scale, (2, *shape), or a network from the value to as many numbers.
        shape: shape of what is drawn.
    """

    features: Any
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, value: Any) -> dist.Distribution:
        loc, log_scale = parameters_at(self.features, value).reshape(2, *self.shape)
        return dist.Normal(loc, jnp.exp(log_scale)).to_event(len(self.shape))


def parameters_at(parameters: Any, value: Any) -> Array:
    """What a network makes of `value`, or the parameters themselves where they are constants."""
    return jnp.asarray(parameters(value) if callable(parameters) else parameters)


def required(key: PRNGKeyArray | None) -> PRNGKeyArray:
    """The key of a direction that draws.

    Raises:
        InputError: there is none.
    """
    if key is None:
        raise InputError(
            "a key, for a layer that draws", "none", "`jax.random.key(0)`", where="key"
        )
    return key


def drawn_once(q: Any, key: PRNGKeyArray | None, *, where: str) -> tuple[Any, Float[Array, ""]]:
    """One draw and its log-density, nats.

    Raises:
        InputError: there is no key, or `q` is a point, a whole support or draws of several strata
            instead of a distribution.
    """
    key = required(key)
    proposal = as_proposal(q)
    if proposal.dirac or proposal.exhaustive or proposal.strata > 1:
        support = (
            "whole support" if proposal.exhaustive else f"draw of each of {proposal.strata} strata"
        )
        raise InputError(
            "a distribution to draw from",
            f"{type(proposal).__name__}, which is a {'point' if proposal.dirac else support}",
            "a NumPyro distribution", where=where,
        )  # fmt: skip
    draws = proposal.draw(key, 1)
    value = jax.tree.map(lambda leaf: leaf[0], draws.z)
    if draws.terms is None:
        return value, log_density(proposal, value)
    return value, -total(draws.terms, batch_ndim=1)[0]


def log_density(q: Any, value: Any) -> Float[Array, ""]:
    """The log-density of a distribution or proposal at one value, nats."""
    return -total(as_proposal(q).terms(value))


def is_reparameterized(conditional: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """True when draws from conditional(value), value of this shape, are differentiable.

    Found by tracing without computing anything.
    """
    found = []

    def look(value: Any) -> None:
        found.append(as_proposal(conditional(value)).reparameterized)

    jax.eval_shape(look, jax.ShapeDtypeStruct(shape, jnp.result_type(float)))
    return found[0]
