"""Commands leave out their figures, the dearest part of a short run, where a test looks at none."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["without_figures"]


@contextmanager
def without_figures() -> Iterator[None]:
    """Draw no figure of a fit, for fixtures that serve a whole module; `undrawn` serves a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_fit", "draw_em", "draw_posterior"):
            patch.setattr(f"taut.report.{name}.{name}", lambda *_, **__: ())
        yield
