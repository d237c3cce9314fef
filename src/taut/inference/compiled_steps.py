"""The one compiled program that moves an algorithm by n steps, n being an argument.

`lax.fori_loop` over a buffer of row numbers: compiled once, with the same bytes however the steps are
cut into dispatches.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from taut.core import Datum
from taut.core.compiling import steady_jit
from taut.core.devices import on_all, share
from taut.inference.algorithm import Algorithm

__all__ = ["compiled_steps", "steps"]


def compiled_steps(algorithm: Algorithm) -> Callable[..., Any]:
    """The one compiled program: (state, rows, order, count) -> (state, metrics of each step).

    `order` holds row numbers, (most steps, batch size), of which the first `count` rows are used.
    """
    program = steady_jit(steps(algorithm))
    return lambda state, rows, order, count: program(state, rows, order, jnp.int32(count))


def steps(algorithm: Algorithm) -> Callable[..., Any]:
    """The function that `compiled_steps` compiles."""
    # Traced once, though the loop needs the shapes of what it returns first.
    step = jax.jit(algorithm.step, inline=True)

    def run(state: Any, rows: Datum, order: Any, count: Any) -> tuple[Any, dict[str, Any]]:
        def batch(i: Any) -> Datum:
            return share(jax.tree.map(lambda leaf: leaf[order[i]], rows))

        _, metrics = jax.eval_shape(step, state, batch(0))
        log = jax.tree.map(lambda m: jnp.zeros((order.shape[0], *m.shape), m.dtype), metrics)

        def body(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, log = carry
            state, metrics = on_all(step(state, batch(i)))
            return state, jax.tree.map(lambda buffer, m: buffer.at[i].set(m), log, metrics)

        return jax.lax.fori_loop(0, count, body, (state, log))

    return run
