"""Compiled programs with the options of XLA that a CPU gains by, of which no more are kept than serve.

    quick_jit         for programs that run for less time than they take to compile: without the fusion
                      emitters, and in one piece, XLA 0.10 compiles a loop around a log-density twice as
                      fast, with the same speed at run time (measured on the programs of posteriordb)
    even_jit          for programs that run for about as long as they take to compile: at LLVM's first
                      level of optimization they compile in a third of the time and run up to half as
                      long again (measured on log-weights of decoders and fits of Gaussians to them)
    steady_options,   for programs that run longer than they take to compile: convolutions by Eigen, on
    steady_jit        all cores, in place of XLA's default, which keeps each on one
                      (`benchmarks/convolutions.py`)
    kept_jit          for all others that are given data of many sizes
    transformed_jit   for those of them that people differentiate
    shared_jit        for functions that are made anew for each use, or of arguments that are: all that
                      do the same operations on the same shapes (`Traced`) share one program

These are options of XLA's debugging, so each is asked for only where the installed XLA knows it, and
none where the device is not a CPU. One that XLA_FLAGS names is as it says there.

A program is kept until as many others as a table holds were asked for since; JAX alone would keep
every one for as long as the process lives.
"""

import numbers
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from functools import cache, partial, wraps
from typing import Any, ClassVar

import equinox as eqx
import jax
from jax.core import Tracer

from taut.core.devices import current_mesh
from taut.core.memory import check_program
from taut.core.traced import Traced

__all__ = [
    "even_jit",
    "forget",
    "kept_jit",
    "quick_jit",
    "quick_options",
    "shared_jit",
    "steady_jit",
    "steady_options",
    "transformed_jit",
]

_QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
# What is left to the library that convolves on one core: matrix products.
_STEADY = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
_EVEN = {**_STEADY, "xla_backend_optimization_level": 1}
Options = Callable[[], dict[str, Any] | None]
_CONTEXT = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_numpy_dtype_promotion",
)
_TRACES = 8  # of one function
_KEPT = 16  # programs of one function: a fit to a program takes up to 7 MB and 60 maps of memory
# Programs of all training, and of all evidence: a network's take up to 30 MB. Fits of ever another
# number of rows, up to a doubling, meet seven: two of steps, five of held-out rows; an audit has eleven.
_KEPT_LARGE = 12
_KEPT_SMALL = 64  # programs that compile soon, of functions made anew and of exact models


def quick_jit(function: Callable, *, static: int = 0) -> Any:
    """`jax.jit(function)` that compiles soon, and forgets what is long unused.

    Arguments:
        function: as of `jax.jit`.
        static: how many leading arguments are static. Arguments by keyword are static, too.
    """
    return _kept_for_static(function, static, quick_options, _KEPT)


def quick_options() -> dict[str, Any] | None:
    """`compiler_options` of `jax.jit` for a program that compiles soon; opens the device."""
    return _on_cpu(_QUICK)


def steady_options() -> dict[str, Any] | None:
    """`compiler_options` of `jax.jit` for a program that runs fast; opens the device."""
    return _on_cpu(_STEADY)


def _even_options() -> dict[str, Any] | None:
    return _on_cpu(_EVEN)


def _usual_options() -> None:
    return None


def shared_jit(function: Callable, *, options: Options = quick_options) -> Callable:
    """`equinox.filter_jit(function)` by a program that all functions of the same operations share.

    What is no array among the arguments is static. The function is traced once for each structure of
    its arguments; its results are not to be differentiated.

    Arguments:
        function: pure, of pytrees of arrays and of hashable values.
        options: of the compiler.
    """
    kept, run = _Kept(_TRACES), _RUNS[options]

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        leaves, tree = jax.tree.flatten((arguments, named))
        arrays, static = _parted(leaves)
        name = (_context(), tree, _exactly(static), *map(jax.typeof, arrays))
        traced, captured, results = kept(name, lambda: _trace(function, arrays, tree, static))
        structure, rest = results
        return jax.tree.unflatten(structure, _joined(run(traced, captured, *arrays), rest))

    return call


def steady_jit(function: Callable) -> Callable:
    """`shared_jit(function)` that runs fast; not to be called inside of another program."""
    return shared_jit(function, options=steady_options)


def even_jit(function: Callable) -> Callable:
    """`shared_jit(function)` that compiles soon and runs well; not to be called inside of another."""
    return shared_jit(function, options=_even_options)


def kept_jit(function: Callable) -> Callable:
    """`shared_jit(function)` with the compiler's own options."""
    return shared_jit(function, options=_usual_options)


def transformed_jit(function: Callable) -> Callable:
    """`kept_jit(function)` of values; under JAX's transformations `equinox.filter_jit` of tracers."""
    kept, inner = kept_jit(function), eqx.filter_jit(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        within = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((arguments, named)))
        return (inner if within else kept)(*arguments, **named)

    return call


def forget() -> None:
    """Drop every trace and program that is kept, and JAX's own."""
    _Kept.clear()
    jax.clear_caches()


def _trace(
    function: Callable, arrays: list[Any], tree: Any, static: list[Any]
) -> tuple[Traced, list[Any], tuple[Any, list[Any]]]:
    """A function of arrays, those that it captured, the structure and other leaves of its results."""
    found: list[tuple[Any, list[Any]]] = []

    def flat(*arrays: Any) -> list[Any]:
        arguments, named = jax.tree.unflatten(tree, _joined(arrays, static))
        leaves, structure = jax.tree.flatten(function(*arguments, **named))
        values, rest = _parted(leaves)
        found.append((structure, rest))
        return values

    return *Traced.of(flat, *arrays), found[-1]


def _parted(leaves: list[Any]) -> tuple[list[Any], list[Any]]:
    """Arrays, and the other leaves with None, which is no leaf, in the place of arrays."""
    arrays = [leaf for leaf in leaves if eqx.is_array(leaf)]
    return arrays, [None if eqx.is_array(leaf) else leaf for leaf in leaves]


def _joined(arrays: Iterable[Any], rest: list[Any]) -> list[Any]:
    """The leaves that `_parted` parted."""
    values = iter(arrays)
    return [next(values) if leaf is None else leaf for leaf in rest]


class _Kept:
    """A table of the values last asked for."""

    _all: ClassVar[weakref.WeakSet["_Kept"]] = weakref.WeakSet()

    def __init__(self, most: int):
        self._most, self._lock = most, threading.RLock()
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._all.add(self)

    @classmethod
    def clear(cls) -> None:
        """Empty every table."""
        for table in list(cls._all):
            with table._lock:
                table._values.clear()

    def __call__(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a name, made where there is none."""
        with self._lock:
            if name not in self._values:
                self._values[name] = make()
            self._values.move_to_end(name)
            if len(self._values) > self._most:
                self._values.popitem(last=False)
            return self._values[name]


def _kept_for_static(function: Callable, static: int, options: Options, most: int) -> Callable:
    """A function that is compiled anew for each value of its static arguments."""
    kept = _Kept(most)

    @wraps(function)
    def call(*arguments: Any, **settings: Any) -> Any:
        first, rest = arguments[:static], arguments[static:]

        def compiled() -> Callable:
            program = jax.jit(partial(function, *first, **settings), compiler_options=options())
            if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(rest)):
                check_program(program.lower(*rest).compile())  # which the first call takes over
            return program

        return kept((first, *sorted(settings.items())), compiled)(*rest)

    return call


def _context() -> tuple[Any, ...]:
    """What a trace depends on beside its arguments."""
    return (current_mesh(), *(getattr(jax.config, name) for name in _CONTEXT))


def _exactly(static: list[Any]) -> tuple[Any, ...]:
    """The static leaves, which Python would compare by value alone: 1 == True == 1.0, 0.0 == -0.0."""
    return tuple((type(s), repr(s)) if isinstance(s, numbers.Number) else s for s in static)


def _results(traced: Traced, captured: list[Any], *leaves: Any) -> list[Any]:
    return traced(captured, *leaves)


_RUNS = {
    quick_options: _kept_for_static(_results, 1, quick_options, _KEPT_SMALL),
    _even_options: _kept_for_static(_results, 1, _even_options, _KEPT_LARGE),
    steady_options: _kept_for_static(_results, 1, steady_options, _KEPT_LARGE),
    _usual_options: _kept_for_static(_results, 1, _usual_options, _KEPT_SMALL),
}


def _on_cpu(options: dict[str, Any]) -> dict[str, Any] | None:
    if jax.default_backend() != "cpu":
        return None
    named = os.environ.get("XLA_FLAGS", "")
    return {
        name: value
        for name, value in options.items()
        if f"--{name}=" not in named and _is_known(name, value)
    }


@cache
def _is_known(option: str, value: Any) -> bool:
    try:
        jax.jit(lambda x: x).lower(0).compile({option: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True
