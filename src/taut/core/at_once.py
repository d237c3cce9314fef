"""Calls side by side: XLA runs what one thread of a CPU asks for in turn, each program on few cores.

A program of small operations keeps one core; programs that several threads ask for run at once. An
accelerator runs them in turn whoever asks, and several devices must all be asked in the same order.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import jax

from taut.core.devices import num_devices

__all__ = ["at_once"]

T = TypeVar("T")
R = TypeVar("R")


def at_once(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The function of each item, in the items' order, as many at a time as this process has cores.

    Threads have the context of the caller and its precision. One after another where the device is not
    a CPU, or not one alone.

    Arguments:
        function: of one item; what it computes is there when it returns.
        items: one or more.

    Raises:
        BaseException: what the function raised for the first item that it failed for.
    """
    items = list(items)
    if len(items) < 2 or num_devices() > 1 or jax.default_backend() != "cpu":
        return list(map(function, items))
    wide = bool(jax.config.read("jax_enable_x64"))

    def called(item: T) -> R:
        with jax.enable_x64(wide):  # which is a setting of each thread
            return function(item)

    with ThreadPoolExecutor(min(len(items), _num_cores()), "taut-at-once") as pool:
        calls = [pool.submit(copy_context().run, called, item) for item in items]
        return [call.result() for call in calls]


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
