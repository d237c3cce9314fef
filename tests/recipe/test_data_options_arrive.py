"""Every option of the data reaches what loads them, given to `taut.fit` as a keyword or in a recipe."""

import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from option_values import value_of

import taut
from taut.data import DataOptions
from taut.recipe import Recipe, options_of

# The source is the argument; what values are held in follows from `precision`.
OPTIONS = {n: o for n, o in options_of(DataOptions, "data").items() if n not in ("source", "dtype")}


class Called(Exception):
    """The data were about to be loaded; nothing that comes after is of interest."""


@pytest.fixture
def loading(monkeypatch) -> Callable[..., DataOptions]:
    """Keywords of `taut.fit` -> the options that its source was to be loaded with."""
    found: list[Any] = []

    def load(source: Any, options: DataOptions) -> Any:
        found.append(options)
        raise Called

    monkeypatch.setattr(sys.modules["taut.data.load"], "loaded", load)

    def fit(**given: Any) -> DataOptions:
        with pytest.raises(Called):
            taut.fit("digits", **given)
        return found.pop()

    return fit


def test_every_option_of_the_data_is_tried():
    assert {*OPTIONS, "source", "dtype"} == {f.name for f in fields(DataOptions)}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_the_data_reaches_what_loads_them(name, loading):
    given: Any = {name: "mine" if name == "name" else value_of(OPTIONS[name], None)}
    wanted = DataOptions(source="digits", **given)
    assert getattr(wanted, name) != getattr(DataOptions(), name)
    assert loading(recipe=Recipe(data=DataOptions(**given))) == wanted
    if name != "name":  # of a recipe alone: as a keyword it would be that of a choice
        assert loading(**given) == wanted


@pytest.mark.parametrize("given", [{"precision": "float64"}, {"model": "ppca"}])
def test_what_values_are_held_in_follows_from_the_precision(given, loading):
    assert loading(**given) == DataOptions(source="digits", dtype="float64")
    assert loading(precision="float32") == DataOptions(source="digits")
