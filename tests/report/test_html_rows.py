"""Pictures of rows on a page: categories by their names."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
from unchecked import types_unchecked

import taut
from taut.report.html import rows
from taut.report.html.rows import _codes, _columns


def test_categories_are_named_beside_their_codes():
    rng = np.random.default_rng(0)
    town = np.take(["Ulm", "Bonn & Co", "A" * 40], rng.integers(0, 3, 60))
    data = taut.load_data(pl.DataFrame({"x": rng.normal(size=60), "town": town}))
    assert _codes(data.schema, 0) == ""
    assert data.schema.categories[1] == ("A" * 40, "Bonn & Co", "Ulm")
    assert _codes(data.schema, 1) == f"; 0 {'A' * 24}, 1 Bonn & Co, 2 Ulm"


def test_plots_of_columns_are_of_those_that_are_no_categories():
    rng = np.random.default_rng(0)
    town = np.take(["Ulm", "Bonn"], rng.integers(0, 2, 60))
    frame = pl.DataFrame({"town": town, "x": rng.normal(size=60), "y": rng.normal(size=60)})
    data = taut.load_data(frame)
    asked: list[int] = []
    made = _columns(
        data.schema, np.asarray(data.test.x, float), lambda i: asked.append(i) or [],
        x="row", y="mean", title="of a plot", equal=True,
    )  # fmt: skip
    assert sorted(asked) == [1, 2]
    shown = str(made)
    assert "x: of a plot" in shown
    assert "y: of a plot" in shown
    assert "town" not in shown


def test_reconstructions_are_of_the_rows_that_they_stand_beside(monkeypatch):
    x = np.random.default_rng(0).normal(size=(1500, 2)).astype(np.float32)
    data = taut.load_data(x)
    assert len(data.test) > rows._RECONSTRUCTED
    seen: list[tuple[Any, Any]] = []
    monkeypatch.setattr(rows, "_pairs", lambda *both: seen.append(both) or [])
    fit: Any = SimpleNamespace(
        architecture=SimpleNamespace(name="vae"), model=None, schema=data.schema, estimates={},
        reconstruct=lambda some: some + 3,
    )  # fmt: skip
    with types_unchecked():
        rows.reconstructions(fit, data.test)
    assert len(seen) == 2
    for own, mean in seen:
        assert len(own) == rows._RECONSTRUCTED
        np.testing.assert_allclose(mean, own + 3, rtol=1e-6)
