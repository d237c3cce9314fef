"""Options as NumPy has them, such as those of a loop over `arange`: the same recipe as with Python's."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from unchecked import types_unchecked

import taut
from taut.core import pythonic
from taut.recipe import CHOICES, OPTIONS_OF, ProgramRecipe, Recipe
from taut.runs import RunFolder


@pytest.fixture(autouse=True)
def as_people_call() -> Iterator[None]:
    """Without checks of types, which call a number of NumPy wrong."""
    with types_unchecked():
        yield


X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
CASES = {
    f"{table} {name}": (table, kind)
    for table, kinds in CHOICES.items()
    for name, kind in kinds.items()
} | {table: (table, kind) for table, kind in OPTIONS_OF.items()}


def _of_numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_of_numpy, value))
    return np.asarray(value)[()] if type(value) in (int, float) else value


def _with_numpy(choice: Any) -> Any:
    values = {item.name: getattr(choice, item.name) for item in fields(choice) if item.init}
    return replace(choice, **{name: _of_numpy(value) for name, value in values.items()})


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
@pytest.mark.parametrize("name", CASES)
def test_a_recipe_has_numbers_of_python(name: str):
    table, kind = CASES[name]
    usual = kind()
    given = _with_numpy(usual)
    content = Recipe(**{table: given}).to_dict()
    assert content == Recipe(**{table: usual}).to_dict()
    held = [content[table][key] for key in content[table]]
    assert all(type(one) in (int, float, str, bool, list, dict) for one in held)


def _program() -> None:
    numpyro.sample("z", dist.Normal(0, 1))


def test_runs_keep_them_and_are_read_again(tmp_path):
    """Steps, iterations and starts included, which are counted in the files of a run."""
    options = {"epochs": np.int64(1), "batch_size": np.int32(16), "learning_rate": np.float64(1e-3)}
    model = taut.VAE(latent_dim=np.int64(2), hidden=(np.int64(4),))
    taut.fit(
        X, model=model, bound="iwae", num_particles=np.int64(3), out=tmp_path / "fit", **options
    )
    taut.em(X, components=np.int64(2), restarts=np.int64(2), out=tmp_path / "em")
    taut.infer(
        _program, num_starts=np.int64(1), num_draws=np.int64(500), precision_nats=np.float64(0.1),
        refine="none", out=tmp_path / "infer",
    )  # fmt: skip
    for name in ("fit", "em"):
        content = RunFolder.open(tmp_path / name).read_config()
        assert Recipe.from_dict(content).to_dict() == content
    content = RunFolder.open(tmp_path / "infer").read_config()
    assert ProgramRecipe.from_dict(content).to_dict() == content


def test_data_are_loaded_by_them():
    data = taut.load_data(X, split=(np.float64(0.5), 0.25, np.float32(0.25)), seed=np.int64(4))
    assert data.options == taut.load_data(X, split=(0.5, 0.25, 0.25), seed=4).options
    assert [len(part) for part in (data.train, data.validation, data.test)] == [30, 15, 15]


def test_what_has_none_is_the_same_object():
    value = {"a": (1, [2.0, "b"]), "c": taut.VAE()}
    assert pythonic(value) is value
