"""Whatever is trained step by step, its best parameters are what comes out, and not its last."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Datum, Estimate
from taut.fitted.stacked import stacked_head
from taut.training import TrainingOptions, start

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
TINY: dict[str, Any] = {
    "latent_dim": 2, "hidden": (4,), "likelihood": "gaussian", "epochs": 1, "evidence_particles": 2,
}  # fmt: skip


def _fitted() -> Any:
    return taut.fit(X, model="vae", **TINY).pair


def _refitted() -> Any:
    return taut.refit_prior(taut.fit(X, **TINY), X, prior="mixture:2", num_particles=2).fit.pair


def _headed() -> Any:
    schema, rows = taut.load_data(X).schema, Datum(X)
    pair = taut.VAE(latent_dim=2, hidden=(4,)).init(schema, jax.random.key(0))
    labels = (np.arange(40, dtype=np.int32) % 2,) * 2
    return stacked_head(pair, (rows, rows), labels, 2, TrainingOptions(), num_steps=1).pair


DOORS: dict[str, Callable[[], Any]] = {
    "taut.api.amortized": _fitted,
    "taut.api.refitting": _refitted,
    "taut.fitted.stacked": _headed,
}


def test_every_module_that_trains_has_a_door():
    root = Path(str(taut.__file__)).parent
    found = {
        ".".join(("taut", *path.relative_to(root).with_suffix("").parts))
        for path in root.rglob("*.py")
        if re.search(r"^from taut\.training import .*\btrain\b", path.read_text(), re.MULTILINE)
    }
    assert found == DOORS.keys()


@pytest.mark.parametrize("module", DOORS)
def test_the_best_parameters_come_out(module, monkeypatch):
    marked: list[Any] = []

    def train(algorithm: Any, *_: Any, **__: Any) -> Any:
        """A run whose best parameters are half of its first, which are also its last."""
        state = start(algorithm)
        marked.append(jax.tree.map(_halved, state.best))
        return state._replace(best=marked[-1])

    def gain(new: Any, old: Any, features: Datum, **_: Any) -> Estimate:
        return Estimate.from_rows(np.ones(len(features.x)), side="unbiased", index=features.index)

    monkeypatch.setattr("taut.api.refitting.prior_gain", gain)  # so that what was found is kept
    monkeypatch.setattr(f"{module}.train", train)
    found = jax.tree.leaves(eqx.filter(DOORS[module](), eqx.is_array))
    wanted = jax.tree.leaves(marked[-1])
    assert wanted
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def _halved(leaf: Any) -> Any:
    return leaf / 2 if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf
