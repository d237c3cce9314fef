"""Programs that the suite lowers in one context of MLIR are those that JAX lowers each in its own."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.interpreters import mlir


def lowered(number: int) -> str:
    def function(x):
        table = jnp.asarray(np.arange(20.0, dtype=np.float32) * number)
        return jax.lax.fori_loop(0, 3, lambda i, y: y * jnp.sin(x + i) + table[2], x)

    return jax.jit(jax.grad(function)).lower(jnp.float32(1)).as_text()


def test_a_context_that_has_been_used_changes_no_program(monkeypatch):
    def contexts() -> int:
        return len({*(mlir.make_ir_context() for _ in range(3))})

    assert contexts() < 3
    shared = [lowered(number) for number in range(3)]
    monkeypatch.setattr(mlir, "make_ir_context", inspect.unwrap(mlir.make_ir_context))
    assert contexts() == 3
    assert [lowered(number) for number in range(3)] == shared
    assert len({*shared}) == 3
