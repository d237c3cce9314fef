"""`Traced`: a function of arrays by its operations, so that two functions that do the same are equal.

    y = f(c, x)         c, the arrays that f captured, are arguments like any other

JAX keeps compiled programs by the identity of the function that was traced, and a function that is
made anew for each call is always another one. Here a function is traced each time, which takes
milliseconds, and what it was compiled to is found again by its operations: constants, shapes, types,
settings and inner functions are all part of them, since they are read off the trace. A global or a
captured number that changed makes another program; a captured array that changed is another argument.

Rules of differentiation that a function brings along (`jax.custom_jvp`) are no part of it: they are
used up where a gradient is traced, and must not be asked for later.
"""

import gc
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = ["Traced", "trace"]

_PLAIN = (str, bytes, bool, int, float, complex, type(None))
# Operations that hold a function, as `call_jaxpr`, and beside it the rules of its derivatives.
_WITH_RULES = ("custom_jvp_call", "custom_vjp_call")


class Traced:
    """A traced function of (captured arrays, arguments); hashable, equal where its operations are."""

    def __init__(self, jaxpr: Jaxpr):
        self._jaxpr, self._key = jaxpr, _written(jaxpr)
        self._hash = hash(self._key)

    @classmethod
    def of(cls, function: Callable, *arguments: Any) -> tuple["Traced", list[Any]]:
        """A function as it is at arguments of some shapes, and the arrays that it captured.

        Arguments:
            function: pure, of pytrees of arrays.
            arguments: arrays, or their shapes and types.
        """
        closed = trace(function, *arguments)
        # Copies, so that what is kept here does not keep JAX's own alive.
        held = [c.copy() if isinstance(c, np.ndarray) else c for c in closed.consts]
        return cls(closed.jaxpr), held

    def __call__(self, captured: Any, *arguments: Any) -> list[Any]:
        """The leaves of what the function returns; `captured` are arrays such as `of` has found."""
        return eval_jaxpr(self._jaxpr, captured, *jax.tree.leaves(arguments))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Traced) and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash


def trace(function: Callable, *arguments: Any) -> ClosedJaxpr:
    """`jax.make_jaxpr(function)(*arguments)`, with captured NumPy arrays in the precision of now.

    JAX rounds a captured NumPy array to the precision that it meets it in, and hands that to every later
    trace, also under another `jax.enable_x64`, for as long as a program that it keeps holds it. Where
    types do not go together, its programs are dropped and the function is traced again.
    """
    closed = None
    try:
        closed = jax.make_jaxpr(function)(*arguments)
        if any(isinstance(array, np.ndarray) for array in closed.consts):
            leaves = jax.tree.leaves(arguments)
            jax.eval_shape(partial(eval_jaxpr, closed.jaxpr), closed.consts, *leaves)
        return closed
    except TypeError:
        pass
    closed = None
    jax.clear_caches()
    gc.collect()  # of traces, which go round in circles
    return jax.make_jaxpr(function)(*arguments)


def _written(jaxpr: Jaxpr) -> tuple[bytes, tuple[Any, ...]]:
    """All that a trace does, as a digest, and the objects that it names by their numbers."""
    writer = _Writer()
    writer.jaxpr(jaxpr)
    return writer.digest.digest(), tuple(writer.objects)


class _Writer:
    """Writes a trace down, variables by their numbers.

    Attributes:
        digest: of what was written.
        objects: what has no value to be written down (operations, types, functions), by number. They
            are compared as they compare themselves, and kept alive, so that no other can take the
            place of one that is compared by identity.
    """

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=32)
        self.objects: dict[Any, int] = {}
        self._variables: dict[Any, int] = {}

    def jaxpr(self, jaxpr: Jaxpr) -> None:
        self._text("jaxpr", len(jaxpr.constvars), len(jaxpr.invars), len(jaxpr.eqns))
        for variable in (*jaxpr.constvars, *jaxpr.invars):
            self._bound(variable)
        for equation in jaxpr.eqns:
            self._object(equation.primitive)
            self._object(equation.ctx)
            self._text(len(equation.invars), len(equation.outvars))
            for atom in equation.invars:
                self._atom(atom)
            parameters = equation.params
            if equation.primitive.name in _WITH_RULES and "call_jaxpr" in parameters:
                parameters = {"call_jaxpr": parameters["call_jaxpr"]}
            for name, value in sorted(parameters.items()):
                self._text(name)
                self._value(value)
            for variable in equation.outvars:
                self._bound(variable)
        for atom in jaxpr.outvars:
            self._atom(atom)

    def _bound(self, variable: Any) -> None:
        self._variables[variable] = len(self._variables)
        self._object(variable.aval)

    def _atom(self, atom: Any) -> None:
        if isinstance(atom, Literal):
            self._text("literal")
            self._value(atom.val)
            self._object(atom.aval)
        else:
            self._text(self._variables[atom])

    def _value(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            plain: Any = next(kind for kind in _PLAIN if isinstance(value, kind))
            # The numbers in a trace have types of JAX's, and are equal where 0.0 is -0.0.
            self._text(type(value).__name__, plain.__repr__(value))
        elif isinstance(value, ClosedJaxpr):
            self.jaxpr(value.jaxpr)
            self._value(list(value.consts))
        elif isinstance(value, Jaxpr):
            self.jaxpr(value)
        elif isinstance(value, (tuple, list)):
            self._object(type(value))
            self._text(len(value))
            for part in value:
                self._value(part)
        elif isinstance(value, dict):
            self._text("dict", len(value))
            for name, part in value.items():
                self._value(name)
                self._value(part)
        elif isinstance(value, (np.ndarray, np.generic, jax.Array)):
            self._array(value)
        else:
            self._object(value)

    def _array(self, value: Any) -> None:
        if jnp.issubdtype(value.dtype, jax.dtypes.extended):
            self._text("key")
            self._object(value.dtype)
            value = jax.random.key_data(value)
        array = np.asarray(value)
        self._text("array", array.dtype.str, array.dtype.name, array.shape)
        self.digest.update(array.tobytes())

    def _object(self, value: Any) -> None:
        if not _has_hash(value):
            value = _Itself(value)
        self._text("object", self.objects.setdefault(value, len(self.objects)))

    def _text(self, *parts: Any) -> None:
        self.digest.update(repr(parts).encode() + b"\0")


class _Itself:
    """An object that cannot be hashed, equal to itself alone."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:  # a tuple, say, of what has none
        return False
    return True
