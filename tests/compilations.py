"""A stretch of a test in which programs that are compiled are counted."""

import contextlib
from collections.abc import Iterator

import jax

__all__ = ["compilations"]


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """A list with one entry for each program that is compiled within, also from a file."""
    found: list[str] = []

    def heard(event: str, _: float, **names: str) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(names.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)
