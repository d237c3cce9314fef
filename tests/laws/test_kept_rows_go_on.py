"""What goes on after some rows makes the other rows as they were: of everything that keeps rows.

Every maker of blocks is asked for all of them, and once more for those after the first. The second
answer is the tail of the first: whatever stopped the process in between, the numbers are the same.
"""

import importlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.architectures import Discrete
from taut.audit import calibration
from taut.audit.gaps import _elbos
from taut.core import Datum
from taut.data import Schema
from taut.evidence import Annealed, importance_sampling, simulated, weigh_known
from taut.inference import Refined, RefinedQuadrature
from taut.inference.amortized.climbed_features import climbed_features
from taut.inference.amortized.finite_members import finite_members
from taut.inference.amortized.row_members import row_members

SOURCE = Path(inspect.getfile(taut)).parent
COUNT = 90  # rows, more than the widest block has
KEY = jax.random.key(0)


def callers() -> set[str]:
    """The modules that keep rows, themselves or by `kept_members`."""
    found = {
        "taut." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
        if any(f"{name}(" in path.read_text() for name in ("kept_rows", "kept_members"))
    }
    return found - {"taut.core.kept_rows"}


@pytest.fixture(scope="module")
def pair() -> Any:
    x = np.random.default_rng(0).normal(size=(100, 4))
    return taut.fit(x, latent_dim=2, hidden=(4,), epochs=2, evidence_particles=2, key=0).pair


@pytest.fixture
def tails(monkeypatch) -> set[str]:
    """The modules whose blocks were asked for twice."""
    seen: set[str] = set()

    def kept(blocks: Callable, count: int) -> dict[str, np.ndarray]:
        whole = [dict(block) for block in blocks(0)]
        first = len(next(iter(whole[0].values())))
        assert first < count, "one block has no tail"
        tail = [dict(block) for block in blocks(first)]
        assert len(tail) == len(whole) - 1
        for before, after in zip(whole[1:], tail, strict=True):
            assert before.keys() == after.keys()
            for name in before:
                np.testing.assert_array_equal(before[name], after[name], err_msg=name)
        parts = inspect.getclosurevars(inspect.unwrap(blocks)).nonlocals.values()
        seen.update(part.__module__ for part in (blocks, *parts) if inspect.isfunction(part))
        return {
            name: np.concatenate([np.asarray(block[name]) for block in whole]) for name in whole[0]
        }

    for name in callers():
        monkeypatch.setattr(importlib.import_module(name), "kept_rows", kept, raising=False)
    return seen


def rows() -> Datum:
    x = np.random.default_rng(1).normal(size=(COUNT, 4)).astype(np.float32)
    return Datum(x, index=np.arange(COUNT))


def known(pair: Any) -> Any:
    return simulated(pair.bind()[0], rows(), COUNT, key=jax.random.key(1))


# Fits of programs, one after the other; their own tests stop them.
@cache
def of_bits() -> Any:
    """A model and a guide of two bits."""
    schema = Schema(name="t", kind="table", shape=(4,), support="real")
    return Discrete(latents="bernoulli:2", hidden=(4,)).init(schema, KEY).bind()


ELSEWHERE = {"audit.refits", "audit.refit_bracket"}
# By the module whose rows are kept.
ROUTES: dict[str, Callable[[Any], Any]] = {
    "evidence.importance": lambda pair: importance_sampling(
        pair, rows(), key=KEY, num_particles=30
    ),
    "evidence.known_latents": lambda pair: weigh_known(
        *pair.bind(), known(pair), key=KEY, num_particles=30
    ),
    "evidence.sweep": lambda pair: Annealed(num_particles=4, temperatures=3)(pair, rows(), key=KEY),
    "inference.amortized.row_gaussians": lambda pair: Refined(30)(pair, rows(), key=KEY),
    "inference.amortized.refined_quadrature": lambda pair: RefinedQuadrature()(
        pair, rows(), key=KEY
    ),
    "inference.amortized.row_members": lambda pair: row_members(*pair.bind(), rows(), key=KEY),
    "inference.amortized.climbed_features": lambda pair: climbed_features(
        *pair.bind(), rows(), key=KEY
    ),
    "inference.amortized.finite_members": lambda _: finite_members(*of_bits(), rows()),
    "audit.gaps": lambda pair: _elbos(*pair.bind(), rows(), KEY, 8),
    "audit.calibration": lambda pair: calibration(*pair.bind(), known(pair), key=KEY, num_draws=9),
}


def test_no_module_that_keeps_rows_is_left_out():
    assert {f"taut.{name}" for name in ELSEWHERE | ROUTES.keys()} == callers()


@pytest.mark.parametrize("name", ROUTES)
def test_the_rows_after_a_stop_are_as_they_were(name, pair, tails):
    ROUTES[name](pair)
    assert f"taut.{name}" in tails
