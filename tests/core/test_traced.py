"""Functions of the same operations share one compiled program; no other two do."""

import gc
import itertools
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import compilations

from taut.core import compiling
from taut.core.compiling import quick_jit, shared_jit
from taut.core.traced import Traced

X = np.arange(3.0, dtype=np.float32)


def key_of(function, *arguments):
    return Traced.of(function, *(arguments or (X,)))[0]


def scaled(factor):
    return lambda x: factor * x


def with_rule(function, slope):
    """A function with a derivative of its own choice."""
    made = jax.custom_jvp(function)
    made.defjvp(lambda primals, tangents: (function(*primals), slope * function(*tangents)))
    return made


def called_back(function):
    shape = jax.ShapeDtypeStruct((3,), np.float32)
    return lambda x: jax.pure_callback(function, shape, x)


def reciprocal(zero):
    return lambda x: jnp.sum(x / jax.lax.mul(x, jax.lax.full_like(x, zero)))


def repeated(step):
    return lambda x: jax.lax.fori_loop(0, 3, lambda _, c: step(c), x)


ONE = np.float32(1)
# Pairs of functions that differ: in a number, its sign, its type, an array inside of an inner program,
# a setting, a shape, an inner function, a function of Python's.
DIFFERENT = {
    "a number": (scaled(2.0), scaled(3.0)),
    "the last bit of a number": (scaled(ONE), scaled(np.nextafter(ONE, np.float32(2)))),
    "the sign of zero": (lambda x: x / 0.0, lambda x: x / -0.0),
    "the sign of zero in a gradient": (jax.grad(reciprocal(0.0)), jax.grad(reciprocal(-0.0))),
    "an operation": (jnp.sin, jnp.cos),
    "the order of arguments": (lambda x: x - x[::-1], lambda x: x[::-1] - x),
    "an axis": (lambda x: jnp.outer(x, x).sum(0), lambda x: jnp.outer(x, X).sum(1)),
    "a power": (lambda x: x**2, lambda x: x**3),
    "a result": (lambda x: (x, x + 1), lambda x: (x + 1, x)),
    "a number in a loop": (repeated(scaled(2.0)), repeated(scaled(3.0))),
    "a type": (lambda x: x.astype(jnp.float16), lambda x: x.astype(jnp.bfloat16)),
    "a gradient's rule": (
        jax.grad(lambda x: with_rule(lambda y: y.sum(), 2.0)(x)),
        jax.grad(lambda x: with_rule(lambda y: y.sum(), 3.0)(x)),
    ),
    "a function of Python's": (called_back(lambda x: x), called_back(lambda x: x + 1)),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_functions_that_differ_are_different(pair):
    first, second = map(key_of, pair)
    assert first == key_of(pair[0])
    assert first != second


def test_a_number_that_is_none_is_itself():
    assert key_of(lambda x: jnp.where(x > 0, x, jnp.nan)) == key_of(
        lambda x: jnp.where(x > 0, x, jnp.nan)
    )


def test_arrays_that_were_captured_are_arguments():
    first, second = ((lambda x, a=a: jnp.sort(a) + x) for a in (X, X + 1))
    (one, captured), (two, other) = Traced.of(first, X), Traced.of(second, X)
    assert one == two
    assert hash(one) == hash(two)
    np.testing.assert_array_equal(one(captured, X)[0], np.sort(X) + X)
    np.testing.assert_array_equal(one(other, X)[0], np.sort(X + 1) + X)


def test_each_function_keeps_the_structure_of_its_results():
    first, second = (
        shared_jit(lambda x: {"a": 2 * x, "b": "word"}),
        shared_jit(lambda x: (2 * x, 1)),
    )
    assert list(first(X)) == ["a", "b"]
    assert first(X)["b"] == "word"
    assert second(X)[1] == 1
    np.testing.assert_array_equal(second(X)[0], first(X)["a"])


def test_a_captured_array_of_an_inner_program_is_part_of_the_function():
    """JAX hands these on as constants, not as arguments."""
    first, second = (jax.jit(lambda x, a=a: a + x) for a in (X, X + 1))
    np.testing.assert_array_equal(shared_jit(lambda x: first(x))(X), X + X)
    np.testing.assert_array_equal(shared_jit(lambda x: second(x))(X), X + X + 1)


def test_shapes_and_types_are_part_of_the_function():
    arguments = (X, X[:2], X.astype(np.int32), jax.random.split(jax.random.key(0), 3))
    keys = [key_of(lambda x: x, each) for each in arguments]
    assert all(a != b for a, b in itertools.combinations(keys, 2))


def test_a_global_that_changed_is_seen(monkeypatch):
    def read(x):
        return ONE * x

    before = shared_jit(lambda x: read(x))(X)
    monkeypatch.setitem(globals(), "ONE", np.float32(2))
    np.testing.assert_array_equal(shared_jit(lambda x: read(x))(X), 2 * before)


def test_functions_made_anew_compile_once():
    def call(number):
        array = X + number
        result = shared_jit(lambda x: jnp.cumsum(array) * x[::-1])(X)
        np.testing.assert_allclose(result, np.cumsum(array) * X[::-1])

    call(0)
    with compilations() as compiled:
        call(1)
        call(2)
    assert compiled == []


def test_programs_long_unused_are_freed(monkeypatch):
    """Of the last few there is one each; a function that they alone hold is gone with them."""
    monkeypatch.setattr(compiling, "_KEPT", 3)
    run = quick_jit(lambda function, x: function(x), static=1)
    functions = [scaled(float(n)) for n in range(6)]
    gone = [weakref.ref(function) for function in functions]
    for number, function in enumerate(functions):
        np.testing.assert_array_equal(run(function, X), number * X)
    del function, functions
    gc.collect()
    assert [one() is None for one in gone] == [True] * 3 + [False] * 3
