"""The parameters of a control variate, moved so that the estimate varies less.

    V = mean over draws of the sum over logits of g^2

The mean of g does not depend on them, so that the gradient of E[V] is that of the variance (Tucker et
al. 2017; Grathwohl et al. 2018). V is that of one datum's estimate in its logits. Temperature and scale
are two numbers: their derivatives are taken forwards, for one further evaluation of the relaxed draws,
and handed on as a linear function.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from taut.core import InputError
from taut.gradients.conditional_control import Estimates

__all__ = ["LearnedControl", "check_control", "moved", "scaled", "start"]


class LearnedControl(NamedTuple):
    """What is learned of a control variate.

    Attributes:
        log_temperature: logarithm of the temperature of relaxed draws, ().
        scale: eta, factor of f at relaxed draws, ().
        networks: free part for each layer; None without one.
        optimizer: state of the optimizer.
    """

    log_temperature: Float[Array, ""]
    scale: Float[Array, ""]
    networks: Any
    optimizer: Any


def check_control(temperature: float, learning_rate: float, *, where: str) -> None:
    """Refuse a temperature that is not positive or a learning rate that is negative."""
    if not temperature > 0:
        raise InputError("a temperature above 0", f"{temperature:g}", "0.5", where=where)
    if not learning_rate >= 0:
        raise InputError("a learning rate of at least 0", f"{learning_rate:g}", "1e-3", where=where)


def start(
    temperature: float, scale: float, learning_rate: float, networks: Any = None
) -> LearnedControl:
    """The state before the first step."""
    learned = (jnp.log(jnp.asarray(temperature, float)), jnp.asarray(scale, float), networks)
    return LearnedControl(*learned, _optimizer(learning_rate).init(_arrays(learned)))


def moved(aux: LearnedControl, gradients: Any, learning_rate: float) -> LearnedControl:
    """The state after one step down V."""
    learned, slopes = aux[:3], gradients[:3]
    updates, optimizer = _optimizer(learning_rate).update(slopes, aux.optimizer, _arrays(learned))
    log_temperature, scale, networks = eqx.apply_updates(learned, updates)
    return LearnedControl(log_temperature, scale, networks, optimizer)


def scaled(
    plain: Estimates,
    part: Callable[[Float[Array, ""]], Estimates],
    aux: LearnedControl,
    free: Estimates | None = None,
    *,
    learn: bool,
) -> tuple[Estimates, Float[Array, ""]]:
    """g = plain - eta B(T) - free, without a gradient, and what is minimised in `aux`.

    Arguments:
        plain: f(b) grad log q(b).
        part: B as a function of the logarithm of the temperature.
        aux: temperature and scale.
        free: B of the free part, live in its parameters.
        learn: whether V is differentiated.

    Returns:
        g, and a function of `aux` that has the gradient of V; its value has no meaning.
    """
    at, eta = jax.lax.stop_gradient((aux.log_temperature, aux.scale))
    if not learn:
        b, slope = part(at), None
    else:
        b, slope = jax.jvp(part, (at,), (jnp.ones_like(at),))
    b, slope = jax.lax.stop_gradient((b, slope))
    known = jax.tree.map(lambda p, b: p - eta * b, plain, b)
    removed = jax.tree.map(jnp.zeros_like, known) if free is None else free
    g = jax.lax.stop_gradient(jax.tree.map(lambda k, f: k - f, known, removed))
    if slope is None:
        return g, jnp.zeros(())
    linear = 2.0 * (
        aux.scale * _inner(g, jax.tree.map(lambda b: -b, b))
        + aux.log_temperature * _inner(g, jax.tree.map(lambda s: -eta * s, slope))
        - _inner(g, removed)
    )
    return g, linear


def _inner(left: Estimates, right: Estimates) -> Float[Array, ""]:
    """Mean over draws of the inner product over logits, with no gradient on the left."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b) / a.shape[0], left, right)
    return sum(jax.tree.leaves(products), start=jnp.zeros(()))


def _arrays(learned: Any) -> Any:
    return eqx.filter(learned, eqx.is_inexact_array)


def _optimizer(learning_rate: float) -> optax.GradientTransformation:
    # Second moments as slow as in the code of both papers, for the gradient of a variance is noisy.
    return optax.adam(learning_rate, b2=0.99999)
