"""Compiled programs with the options of XLA that a CPU gains by.

    quick_jit         for programs that run for less time than they take to compile: without the fusion
                      emitters, and in one piece, XLA 0.10 compiles a loop around a log-density twice as
                      fast, with the same speed at run time (measured on the programs of posteriordb)
    steady_options,   for programs that run longer than they take to compile: convolutions by Eigen, on
    steady_jit        all cores, in place of XLA's default, which keeps each on one
                      (`benchmarks/convolutions.py`)

These are options of XLA's debugging, so each is asked for only where the installed XLA knows it, and
none where the device is not a CPU.
"""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

import equinox as eqx
import jax

__all__ = ["quick_jit", "steady_jit", "steady_options"]

_QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
# What is left to the library that convolves on one core: matrix products.
_STEADY = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def quick_jit(function: Callable, *, static_argnames: Sequence[str] = ()) -> Any:
    """`jax.jit(function, static_argnames=...)` that compiles soon.

    Arguments:
        function: as of `jax.jit`.
        static_argnames: as of `jax.jit`.
    """
    return _at_first_call(
        function,
        lambda: jax.jit(
            function, static_argnames=static_argnames, compiler_options=_on_cpu(_QUICK)
        ),
    )


def steady_jit(function: Callable) -> Any:
    """`equinox.filter_jit(function)` that runs fast; not to be called inside of another program."""
    # Equinox hands on what it does not declare.
    jit: Any = eqx.filter_jit
    return _at_first_call(function, lambda: jit(function, compiler_options=steady_options()))


def steady_options() -> dict[str, Any] | None:
    """`compiler_options` of `jax.jit` for a program that runs fast; opens the device."""
    return _on_cpu(_STEADY)


def _at_first_call(function: Callable, compiled: Callable[[], Callable]) -> Callable:
    """`compiled()`, made by the first call: the import of a module opens no device."""
    made: list[Callable] = []

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not made:
            made.append(compiled())
        return made[0](*args, **kwargs)

    return call


def _on_cpu(options: dict[str, Any]) -> dict[str, Any] | None:
    if jax.default_backend() != "cpu":
        return None
    return {name: value for name, value in options.items() if _is_known(name, value)}


@cache
def _is_known(option: str, value: Any) -> bool:
    try:
        jax.jit(lambda x: x).lower(0).compile({option: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True
