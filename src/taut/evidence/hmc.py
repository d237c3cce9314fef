"""One Hamiltonian Monte Carlo transition that leaves a tempered density invariant.

    pi_b(u) ~ q(u) w(u)^b,        grad log pi_b = grad log q + b grad log w

L leapfrog steps of length s e with mass diag(1 / scale^2), s ~ Uniform(1/2, 1), then the Metropolis
correction. The draw of s does not look at u, so that every s, and with it their mixture, keeps pi_b
and satisfies detailed balance: a path of transitions can be walked backwards with the same kernels.

Source: Neal, MCMC using Hamiltonian dynamics (2011), sections 3.2 and 4.2 (random step sizes).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

__all__ = ["LONGEST", "Point", "metropolis", "transition"]

LONGEST = 2.36
"""Longest path of a transition, in standard deviations: for a Gaussian the correlation with its start,
cos of the path's length, averages out over s at 3/4 of pi."""


class Point(NamedTuple):
    """A place with all that a transition needs of it.

    Attributes:
        u: free coordinates, (d,).
        log_q: log-density of the start, nats, ().
        log_w: log-weight, nats, ().
        grad_q: gradient of log_q, (d,).
        grad_w: gradient of log_w, (d,).
    """

    u: Float[Array, " d"]
    log_q: Float[Array, ""]
    log_w: Float[Array, ""]
    grad_q: Float[Array, " d"]
    grad_w: Float[Array, " d"]

    def log_density(self, beta: Float[Array, ""]) -> Float[Array, ""]:
        """log pi_b up to its constant, nats."""
        return self.log_q + beta * self.log_w

    def gradient(self, beta: Float[Array, ""]) -> Float[Array, " d"]:
        """Of `log_density`."""
        return self.grad_q + beta * self.grad_w


def transition(
    point: Point,
    at: Callable[[Float[Array, " d"]], Point],
    beta: Float[Array, ""],
    step: Float[Array, ""],
    scale: Float[Array, " d"],
    key: PRNGKeyArray,
    *,
    leapfrog: int | Int[Array, ""],
) -> tuple[Point, Float[Array, ""]]:
    """Where a chain is next, and the probability with which the proposal was accepted.

    Arguments:
        point: where it is.
        at: the point at any u.
        beta: b, positive.
        step: e, in units of `scale`. One of 0 asks for the density alone: where a chain is, the gradient
            need not be a number.
        scale: standard deviations of pi_b, as far as they are known, (d,).
        key: of momentum, step size and acceptance.
        leapfrog: L.
    """
    momentum_key, step_key, accept_key = jax.random.split(key, 3)
    dtype = point.u.dtype
    length = step * jax.random.uniform(step_key, (), dtype, 0.5, 1.0)
    momentum = jax.random.normal(momentum_key, point.u.shape, dtype)

    def kick(here: Point) -> Array:
        return jnp.where(length == 0, 0.0, 0.5 * length * scale * here.gradient(beta))

    def leap(_: Array, moving: tuple[Point, Array]) -> tuple[Point, Array]:
        here, p = moving
        p = p + kick(here)
        there = at(here.u + length * scale * p)
        return there, p + kick(there)

    proposed, end = jax.lax.fori_loop(0, leapfrog, leap, (point, momentum))
    gained = proposed.log_density(beta) - point.log_density(beta)
    log_ratio = gained + 0.5 * (jnp.sum(momentum**2) - jnp.sum(end**2))
    accepted, probability = metropolis(log_ratio, accept_key)
    chosen = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), proposed, point)
    return chosen, probability


def metropolis(
    log_ratio: Float[Array, ""], key: PRNGKeyArray
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether a proposal is accepted, and with what probability: min(1, exp(log_ratio)).

    A path that leaves the support, or all numbers, has a ratio of NaN and is rejected.
    """
    probability = jnp.where(jnp.isnan(log_ratio), 0.0, jnp.exp(jnp.minimum(log_ratio, 0.0)))
    return jax.random.uniform(key, (), log_ratio.dtype) < probability, probability
