"""A NumPy function of many rows as a JAX function of one, against the same one written in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import InputError
from taut.core.host_function import AbstractHostFunction, Way, on_host

WEIGHTS = np.random.default_rng(0).normal(size=(3, 2))


class Hosted(AbstractHostFunction):
    """tanh(x W) and the sum of x^2, with the number of rows of every call."""

    def __init__(self):
        self.calls: list[int] = []

    def outputs(self, shape):
        if shape != (3,):
            raise InputError("rows of shape (3,)", f"{shape}", "x[:3]", where="hosted")
        return (2,), ()

    def check(self, shape, way: Way):
        pass

    def value(self, x):
        self.calls.append(len(x))
        return np.tanh(x @ WEIGHTS), (x**2).sum(axis=1)

    def push(self, x, v):
        slope = 1 - np.tanh(x @ WEIGHTS) ** 2
        return slope * (v @ WEIGHTS), (2 * x * v).sum(axis=1)

    def pull(self, x, *u):
        slope = 1 - np.tanh(x @ WEIGHTS) ** 2
        return ((slope * u[0]) @ WEIGHTS.T + 2 * x * u[1][:, None],)


def written(x: Any) -> tuple[Any, Any]:
    return jnp.tanh(x @ jnp.asarray(WEIGHTS, x.dtype)), jnp.sum(x**2)


def mixed(function: Any, z: Any) -> Any:
    """A scalar of a function at a point that depends on z, weighted by something that does, too."""
    first, second = function(jnp.stack([z, z**2, 1.0 + 0 * z]))
    return jnp.sin(z) * jnp.sum(first) - second


@pytest.fixture(scope="module")
def hosted():
    host = Hosted()
    return host, lambda x: on_host(host, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_both_modes_are_those_of_the_function_in_jax(hosted, dtype):
    _, function = hosted
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), dtype)
        z = x[:, 0]

        def everything(f: Any) -> Any:
            vectors = jnp.eye(3, dtype=dtype)
            return (
                jax.vmap(f)(x), jax.vmap(jax.jacfwd(f))(x), jax.vmap(jax.jacrev(f))(x),
                jax.vmap(jax.grad(lambda z: mixed(f, z)))(z),
                jax.grad(lambda z: jax.vmap(lambda c: mixed(f, z * c))(x[:, 1]).sum())(z[0]),
                # Points, vectors or both have an axis; and two of them.
                jax.vmap(lambda v: jax.jvp(f, (x[0],), (v,)))(vectors),
                jax.vmap(lambda x: jax.vjp(f, x)[1]((vectors[0, :2], vectors[0, 0])))(x),
                jax.vmap(lambda x: jax.vmap(lambda v: jax.jvp(f, (x,), (v,)))(vectors))(x),
            )  # fmt: skip

        found, wanted = jax.jit(lambda: (everything(function), everything(written)))()
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert a.dtype == b.dtype == dtype
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=2e-5 if dtype == "float32" else 1e-12, atol=1e-6)


def test_the_transpose_of_the_transpose_is_the_product(hosted):
    _, function = hosted
    x, v = jnp.array([0.2, -1.0, 0.5]), jnp.array([1.0, 0.5, -2.0])
    pull = jax.vjp(function, x)[1]
    twice = jax.linear_transpose(pull, function(x))
    np.testing.assert_allclose(twice((v,))[0][0], jax.jvp(written, (x,), (v,))[1][0], rtol=1e-5)


def test_one_call_serves_a_batch_and_blocks_serve_many_rows(hosted):
    host, function = hosted
    host.calls.clear()
    x = jnp.linspace(-1, 1, 15000, dtype=jnp.float32).reshape(2, 2500, 3)
    found = jax.jit(jax.vmap(jax.vmap(function)))(x)
    assert sum(host.calls) == 5000
    assert max(host.calls) <= 1024
    np.testing.assert_allclose(found[1], (np.asarray(x) ** 2).sum(axis=2), rtol=1e-5)
    host.calls.clear()
    jax.jit(jax.vmap(jax.vmap(function)))(x[:, :5])
    assert host.calls == [10]


def test_a_second_derivative_is_refused(hosted):
    _, function = hosted
    for twice in (
        jax.hessian,
        lambda f: jax.jacrev(jax.jacfwd(f)),
        lambda f: jax.grad(jax.grad(f)),
    ):
        with pytest.raises(InputError, match=r"first derivatives.*got a second one"):
            jax.eval_shape(twice(lambda z: mixed(function, z)), 1.0)


def test_rows_of_another_shape_are_refused_as_they_are_traced(hosted):
    _, function = hosted
    with pytest.raises(InputError, match=r"rows of shape \(3,\), got \(4,\)"):
        jax.eval_shape(function, jnp.ones(4))
