"""Which rows each part of an audit looks at: the parts are recorders here."""

import sys
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from known_models import LinearGaussian, LinearGuide
from unchecked import types_unchecked

import taut
from taut.audit import audit_fit
from taut.core import Datum, Pair

MODULE: Any = sys.modules["taut.audit.audit"]
X = np.random.default_rng(0).normal(size=(90, 3))
TRAIN, HELD_OUT = (Datum(X[rows], index=np.arange(90)[rows]) for rows in (slice(60), slice(60, 90)))
# By part, the rows of each call and how many: "all" of them or "some", at random.
LOOKED_AT = {
    "latent_use": [("train", "some")],
    "surgery": [("train", "all")],
    "audited_evidence": [("train", "some"), ("held out", "some")],
    "gaps": [("train", "some"), ("held out", "some")],
    "holes": [("train", "all"), ("held out", "some")],
}
FIT: Any = SimpleNamespace(
    pair=Pair(LinearGaussian(np.eye(3), 0.5), LinearGuide(np.eye(3), np.ones(3))),
    guide=None, model=None, architecture=taut.VAE(), schema=taut.load_data(X).schema,
    precision="float32",
    facts=SimpleNamespace(totals=()),
    recipe=SimpleNamespace(
        inference=SimpleNamespace(claims=SimpleNamespace(serves_unseen=True)), bound=None
    ),
)  # fmt: skip


class Called(Exception):
    """The last recorder was reached, and has nothing to give back."""


def _named(rows: Datum) -> tuple[str, str]:
    """Of which part rows are, and whether all of them."""
    for name, whole in (("train", TRAIN), ("held out", HELD_OUT)):
        if np.isin(rows.index, whole.index).all():
            np.testing.assert_array_equal(rows.x, X[np.asarray(rows.index)])
            return name, "all" if len(rows.x) == len(whole.x) else "some"
    raise AssertionError("rows of both parts")


def test_every_part_looks_at_its_rows(monkeypatch):
    seen: dict[str, list[tuple[str, str]]] = {name: [] for name in LOOKED_AT}

    def recorder(name: str, given: Any) -> Any:
        def record(*arguments: Any, **_: Any) -> Any:
            seen[name] += [_named(rows) for rows in arguments if isinstance(rows, Datum)]
            return given

        return record

    evidence = SimpleNamespace()
    results = {"latent_use": SimpleNamespace(size=3), "audited_evidence": (evidence, "exact")}
    for name in LOOKED_AT:
        monkeypatch.setattr(MODULE, name, recorder(name, results.get(name)))
    monkeypatch.setattr(MODULE, "check_has_density", lambda *_: None)
    monkeypatch.setattr(MODULE, "bounded_or_not", lambda found, *_: found)

    def density_excess(*_: Any, **__: Any) -> Any:
        raise Called

    monkeypatch.setattr(MODULE, "density_excess", density_excess)
    with types_unchecked(), pytest.raises(Called):
        audit_fit(FIT, TRAIN, HELD_OUT, key=jax.random.key(0), num_rows_each=20)
    assert seen == LOOKED_AT
