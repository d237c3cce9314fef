"""Figures that are read back instead of written."""

import importlib
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from taut.report import figures


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that functions drew, instead of files."""
    kept: list[Figure] = []

    def keep(figure: Figure, path: Path | str) -> Path:
        kept.append(figure)
        return Path(path)

    for name in (*figures.__all__, "em"):
        monkeypatch.setattr(importlib.import_module(f"taut.report.figures.{name}"), "save", keep)
    return kept
