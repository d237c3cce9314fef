"""Calls side by side give what calls in turn do, and are made by several threads."""

import threading
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import pytest

from taut.core import at_once as module
from taut.core.at_once import at_once

LABEL: ContextVar[str] = ContextVar("label", default="none")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "_num_cores", lambda: 2)


def test_results_come_in_the_order_of_the_items():
    first_may_end = threading.Event()

    def doubled(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(60)  # until another thread has the second item
        else:
            first_may_end.set()
        return 2 * item

    assert at_once(doubled, range(5)) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("wide", [False, True])
def test_threads_have_the_precision_and_the_context_of_the_caller(wide: bool):
    def told(item: int) -> tuple[str, str]:
        return str(jnp.asarray(0.5 * item).dtype), LABEL.get()

    token = LABEL.set("caller")
    try:
        with jax.enable_x64(wide):
            found = at_once(told, range(3))
    finally:
        LABEL.reset(token)
    assert found == [("float64" if wide else "float32", "caller")] * 3


def test_what_a_call_raises_is_raised():
    def refused(item: int) -> int:
        if item:
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 1"):
        at_once(refused, range(3))


def test_one_item_has_no_thread_of_its_own():
    assert at_once(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]
