"""A function of many rows that runs on the host in NumPy, as a JAX function of one row.

    f(x)            value         one call serves a whole batch, however it was made by `jax.vmap`
    J(x) v          push          along a vector v of the row's shape: forward mode
    J(x)^T u        pull          of vectors u of the outputs' shapes: reverse mode

Value and products are what the host says, so that its own differentiation is what JAX sees. Second
derivatives are refused where they are asked for. A program that calls the host is not kept on disk.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from taut.errors import InputError

__all__ = ["AbstractHostFunction", "Way", "on_host"]

Way = Literal["push", "pull"]
Shape = tuple[int, ...]
_AT_ONCE = 1024  # rows of a call: its intermediate values are the host's, and no program's


class AbstractHostFunction(ABC):
    """From N rows (N, *shape) to one or several outputs (N, *output); pure.

    Each is compared by identity: programs that call the same object may be one.
    """

    @abstractmethod
    def outputs(self, shape: Shape) -> tuple[Shape, ...]:
        """Shapes of the outputs for one row of a shape.

        Raises:
            InputError: rows of that shape have none.
        """

    @abstractmethod
    def check(self, shape: Shape, way: Way) -> None:
        """Refuse to differentiate at rows of a shape, before any program does.

        Raises:
            InputError: there are no derivatives, or not in this way.
        """

    @abstractmethod
    def value(self, x: np.ndarray) -> Sequence[np.ndarray]:
        """f of each row."""

    @abstractmethod
    def push(self, x: np.ndarray, v: np.ndarray) -> Sequence[np.ndarray]:
        """J v of each row, of the outputs' shapes; v as x."""

    @abstractmethod
    def pull(self, x: np.ndarray, *u: np.ndarray) -> Sequence[np.ndarray]:
        """J^T u of each row, one array as x; one u for each output."""


def on_host(function: AbstractHostFunction, x: jax.Array) -> tuple[jax.Array, ...]:
    """f of one row, each output in the type of the row.

    Arguments:
        function: what is asked, when a program runs.
        x: a row of floating-point numbers.

    Raises:
        InputError: rows of another shape than the function takes; when derivatives are asked for, those
            that it lacks, and second ones.
    """
    return tuple(_value(function, function.outputs(x.shape), x))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _value(function: AbstractHostFunction, outputs: tuple[Shape, ...], x: Any) -> list[Any]:
    asked = _Asked(function, "value", x.shape)
    results = [jax.ShapeDtypeStruct(shape, x.dtype) for shape in outputs]
    return list(jax.pure_callback(asked, results, x, vmap_method="expand_dims"))


@_value.defjvp
def _value_and_push(
    function: AbstractHostFunction, outputs: tuple[Shape, ...], primals: Any, tangents: Any
) -> tuple[list[Any], list[Any]]:
    (x,), (v,) = primals, tangents
    moved = _product.bind(x, v, function=function, way="push", shape=x.shape, outputs=outputs)
    return _value(function, outputs, x), moved


@dataclass(frozen=True)
class _Asked:
    """A method of a host function for arrays with any axes before those of a row; equal where function,
    method and shape are, as programs are compared by it."""

    function: AbstractHostFunction
    name: str
    shape: Shape

    def __call__(self, x: Any, *vectors: Any) -> tuple[np.ndarray, ...]:
        given = np.asarray(x)
        leading = given.shape[: given.ndim - len(self.shape)]
        flat = [_flat(array, len(leading)) for array in (given, *map(np.asarray, vectors))]
        method = getattr(self.function, self.name)
        blocks = [
            method(*(array[first : first + _AT_ONCE] for array in flat))
            for first in range(0, max(len(flat[0]), 1), _AT_ONCE)
        ]
        found = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return tuple(
            np.asarray(array, given.dtype).reshape((*leading, *array.shape[1:])) for array in found
        )


def _flat(array: np.ndarray, leading: int) -> np.ndarray:
    """With one axis in place of the leading ones."""
    return array.reshape((math.prod(array.shape[:leading]), *array.shape[leading:]))


# J v or J^T u at x, linear in the vectors: parameters as of `_Asked`, with the shapes of the outputs.
# All operands have the same axes before those of a row.
_product = Primitive("host_product")
_product.multiple_results = True


def _results(x: Any, way: Way, shape: Shape, outputs: tuple[Shape, ...]) -> list[Any]:
    leading = x.shape[: len(x.shape) - len(shape)]
    ends = outputs if way == "push" else (shape,)
    return [jax.ShapeDtypeStruct((*leading, *end), x.dtype) for end in ends]


@_product.def_abstract_eval
def _abstract(x: Any, *vectors: Any, way: Way, shape: Shape, outputs: Any, **_: Any) -> list[Any]:
    return [ShapedArray(r.shape, r.dtype) for r in _results(x, way, shape, outputs)]


def _called(x: Any, *vectors: Any, function: Any, way: Way, shape: Shape, outputs: Any) -> Any:
    function.check(shape, way)
    asked = _Asked(function, way, shape)
    return list(jax.pure_callback(asked, _results(x, way, shape, outputs), x, *vectors))


def _batched(operands: Any, axes: Any, **parameters: Any) -> tuple[list[Any], list[int]]:
    size = next(o.shape[a] for o, a in zip(operands, axes, strict=True) if a is not None)
    whole = [
        jnp.broadcast_to(o, (size, *o.shape)) if a is None else jnp.moveaxis(o, a, 0)
        for o, a in zip(operands, axes, strict=True)
    ]
    found = _product.bind(*whole, **parameters)
    return found, [0] * len(found)


def _pushed(primals: Any, tangents: Any, **parameters: Any) -> tuple[Any, Any]:
    if not isinstance(tangents[0], ad.Zero):
        raise InputError(
            "first derivatives, which are all that a function on the host has", "a second one",
            "a method by gradients alone, or the function written in JAX", where="derivatives",
        )  # fmt: skip
    x, *vectors = primals
    moved = [ad.instantiate_zeros(tangent) for tangent in tangents[1:]]
    return _product.bind(x, *vectors, **parameters), _product.bind(x, *moved, **parameters)


def _transposed(cotangents: Any, x: Any, *vectors: Any, way: Way, **parameters: Any) -> list[Any]:
    back: Way = "pull" if way == "push" else "push"
    given = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    found = _product.bind(x, *given, way=back, **parameters)
    # None for those that are held fixed.
    free = [ad.is_undefined_primal(vector) for vector in vectors]
    return [None, *(f if moves else None for f, moves in zip(found, free, strict=True))]


_product.def_impl(jax.jit(_called, static_argnames=("function", "way", "shape", "outputs")))
mlir.register_lowering(_product, mlir.lower_fun(_called, multiple_results=True))
batching.primitive_batchers[_product] = _batched
ad.primitive_jvps[_product] = _pushed
ad.primitive_transposes[_product] = _transposed
