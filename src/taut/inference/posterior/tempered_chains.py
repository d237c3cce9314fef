"""Chains of one program along the path from a start to its posterior, moved from the host.

    pi_b(z) ~ q_0(z)^(1 - b) p(x, z)^b,      z = z_0 + F v

Hamiltonian transitions (`taut.evidence.hmc`) in the coordinates v, where F F^T is about the covariance
of pi_b. Where pi_b is much narrower than that, as in the neck of a funnel, no step of the usual length
is accepted: transitions take steps of several lengths in turn. Temperature, F, step size and the numbers
of steps are arguments, so that one compiled program of a fixed number of chains serves the whole path.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.compiling import quick_jit
from taut.evidence.hmc import Point, transition
from taut.inference.posterior.log_density import LogDensity
from taut.inference.posterior.overdispersed import Overdispersed

__all__ = ["CYCLE", "Chains", "Kernel", "TemperedChains"]

_WIDTH = 128  # chains at once: beyond, vector units gain nothing
_BLOCKS = 16  # of so many chains in one call, which costs as much as some moves of a block
_STEPS = (1.0, 0.3, 0.1, 0.03)  # of the tuned step, in turn: narrow places take short ones
CYCLE = len(_STEPS)
"""Transitions in which each length of step has had its turn."""


class Kernel(NamedTuple):
    """The transition at one temperature.

    Attributes:
        beta: b.
        factor: F, (d, d).
        step: step size, in units of F.
        leapfrog: leapfrog steps in a transition.
    """

    beta: float
    factor: Float[np.ndarray, "d d"]
    step: float
    leapfrog: int


class Chains(NamedTuple):
    """Where K chains are.

    Attributes:
        z: (K, d).
        log_p: log p(x, z), nats, (K,).
        log_w: log p(x, z) - log q_0(z), nats, (K,); -inf where it is not a number.
        acceptance: mean probability of acceptance of each chain's last transitions, (K,).
    """

    z: Float[np.ndarray, "K d"]
    log_p: Float[np.ndarray, " K"]
    log_w: Float[np.ndarray, " K"]
    acceptance: Float[np.ndarray, " K"]


class TemperedChains:
    """The transitions of one program.

    Arguments:
        density: log p(x, z).
        start: q_0.
    """

    def __init__(self, density: LogDensity, start: Overdispersed):
        self._log_p, self._arrays = density.program(start.mean.shape[1])
        self._start = _on_device(start)
        self._width = min(_WIDTH, density.most)

    def starting(self, start: Overdispersed) -> "TemperedChains":
        """The same from another start."""
        other = copy.copy(self)
        other._start = _on_device(start)
        return other

    def at(self, z: Float[np.ndarray, "K d"]) -> Chains:
        """Chains that have not moved yet."""
        nowhere = Kernel(1.0, np.eye(z.shape[1]), 0.0, 0)
        return self.moved(z, nowhere, jax.random.key(0), moves=0)

    def moved(
        self, z: Float[np.ndarray, "K d"], kernel: Kernel, key: PRNGKeyArray, *, moves: int
    ) -> Chains:
        """Chains after a number of transitions.

        Arguments:
            z: where they are, (K, d).
            kernel: of every transition.
            key: of momenta and acceptances.
            moves: transitions.
        """
        count, (blocks, width) = len(z), (_BLOCKS, self._width)
        real = jax.dtypes.canonicalize_dtype(float)
        used = -(-count // width)
        rows = np.empty((-(-used // blocks) * blocks * width, z.shape[1]), real)
        rows[:count], rows[count:] = z, z[-1]
        rows = rows.reshape(-1, blocks, width, z.shape[1])
        fixed = [np.asarray(part, real) for part in (kernel.factor, kernel.beta, kernel.step)]
        parts = [
            _moved(
                self._log_p, part, self._start, self._arrays, *fixed, kernel.leapfrog, moves, key,
                first, min(used - first, blocks),
            )
            for first, part in zip(range(0, used, blocks), rows, strict=True)
        ]  # fmt: skip
        ends = (np.concatenate([np.asarray(p) for p in each]) for each in zip(*parts, strict=True))
        z, log_p, log_w, acceptance = (
            np.asarray(end.reshape(-1, *end.shape[2:])[:count], np.float64) for end in ends
        )
        return Chains(z, log_p, np.where(log_w < np.inf, log_w, -np.inf), acceptance)


def _on_device(start: Overdispersed) -> Overdispersed:
    return jax.tree.map(lambda part: jnp.asarray(part, float), start)


@partial(quick_jit, static=1)
def _moved(
    log_p: Callable[[Array, Any], Array],
    z: Float[Array, "B W d"],
    start: Overdispersed,
    arrays: Any,
    factor: Float[Array, "d d"],
    beta: Float[Array, ""],
    step: Float[Array, ""],
    leapfrog: Array,
    moves: Array,
    key: PRNGKeyArray,
    first: Array,
    used: Array,
) -> tuple[Array, Array, Array, Array]:
    """z, log p, log-weights and mean acceptance of W chains in each of the blocks that are used.

    Arguments as `TemperedChains.moved` has them, and:
        first: how many blocks were moved before, of the same key.
        used: blocks, from the first on; what comes out for others says nothing.
    """

    def chain(origin: Array, own: PRNGKeyArray) -> tuple[Array, Array, Array, Array]:
        def at(v: Array) -> Point:
            here = origin + factor @ v
            q, slope_q = jax.value_and_grad(start.log_prob)(here)
            p, slope_p = jax.value_and_grad(log_p)(here, arrays)
            return Point(v, q, p - q, slope_q @ factor, (slope_p - slope_q) @ factor)

        def move(i: Array, carry: tuple[Point, Array]) -> tuple[Point, Array]:
            point, accepted = carry
            key, begins = jax.random.fold_in(own, i), i < 0
            scale = jnp.ones_like(origin)
            length = jnp.where(begins, 0, step * jnp.asarray(_STEPS, step.dtype)[i % CYCLE])
            point, probability = transition(
                point, at, beta, length, scale, key, leapfrog=jnp.where(begins, 1, leapfrog)
            )
            return point, accepted + jnp.where(begins, 0, probability)

        # A first move of no length, from a place that nothing is less probable than, evaluates the
        # densities where the chain is: with them once more, the program takes twice as long to compile.
        still, nothing = jnp.zeros_like(origin), jnp.full((), -jnp.inf, origin.dtype)
        begun = Point(still, nothing, nothing, still, still)
        point, accepted = jax.lax.fori_loop(-1, moves, move, (begun, jnp.zeros((), origin.dtype)))
        share = accepted / jnp.maximum(moves, 1)
        return origin + factor @ point.u, point.log_q + point.log_w, point.log_w, share

    def block(b: Array, ends: tuple[Array, ...]) -> tuple[Array, ...]:
        width = z.shape[1]
        own = jax.random.split(jax.random.fold_in(key, (first + b) * width), width)
        moved = jax.vmap(chain)(z[b], own)
        return tuple(end.at[b].set(part) for end, part in zip(ends, moved, strict=True))

    numbers = jnp.zeros(z.shape[:2], z.dtype)
    return jax.lax.fori_loop(0, used, block, (z, numbers, numbers, numbers))
