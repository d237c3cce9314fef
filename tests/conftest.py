"""Shared set-up: float64 for laws and theorems on request, without touching the global switch."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def float64() -> Iterator[None]:
    """Run a test in float64 without touching the global switch."""
    with jax.enable_x64(True):
        yield
