"""The root a of a + c tanh(a) = s, for c > -1: the inverse of planar and Sylvester layers.

    f(a) = a + c tanh(a) - s is increasing and changes sign on [s - |c|, s + |c|]

Newton's step is taken where it stays inside the bracket, a bisection otherwise and at every third step.
Derivatives of all orders follow from the implicit function,

    da = (ds - tanh(a) dc) / (1 + c / cosh(a)^2),

in which a is again the root and not a stopped iterate.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["tanh_root"]

_MOST_STEPS = 200  # bisections alone reach rounding in 3 x 64 of them


@jax.custom_jvp
def tanh_root(c: Float[Array, ""], s: Float[Array, ""]) -> Float[Array, ""]:
    """a, to rounding.

    Arguments:
        c: above -1.
        s: any.
    """
    state = jax.lax.while_loop(
        lambda state: ~state.done & (state.step < _MOST_STEPS),
        lambda state: _narrowed(state, c, s),
        _Search(s - jnp.abs(c), s + jnp.abs(c), s, jnp.zeros((), bool), jnp.zeros((), int)),
    )
    return state.a


class _Search(NamedTuple):
    """Bracket, the point in it, and whether it is the root to rounding."""

    low: Array
    high: Array
    a: Array
    done: Array
    step: Array


def _narrowed(state: _Search, c: Array, s: Array) -> _Search:
    a, t = state.a, jnp.tanh(state.a)
    value, slope = a + c * t - s, 1 + c * (1 - t**2)
    low = jnp.where(value > 0, state.low, a)
    high = jnp.where(value > 0, a, state.high)
    newton = a - value / jnp.where(slope > 0, slope, 1)
    takes = (slope > 0) & (newton >= low) & (newton <= high) & (state.step % 3 < 2)
    following = jnp.where(takes, newton, low + 0.5 * (high - low))
    done = jnp.abs(following - a) <= jnp.finfo(a.dtype).eps * jnp.abs(a)
    return _Search(low, high, following, done, state.step + 1)


@tanh_root.defjvp
def _implicit(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (c, s), (dc, ds) = primals, tangents
    a = tanh_root(c, s)
    t = jnp.tanh(a)
    return a, (ds - t * dc) / (1 + c * (1 - t**2))
