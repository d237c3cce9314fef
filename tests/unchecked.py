"""A stretch of a test in which no type is checked at run time, as for a user."""

import contextlib
from collections.abc import Iterator

import jaxtyping

__all__ = ["types_unchecked"]


@contextlib.contextmanager
def types_unchecked() -> Iterator[None]:
    """Let an argument of a wrong type through to the library's own message."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
