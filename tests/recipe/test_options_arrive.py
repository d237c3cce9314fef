"""Every option of every choice arrives where its dataclass keeps it, by whatever way it comes."""

import tomllib
from typing import Any

import pytest
from option_values import value_of, with_it

from taut.core import plain
from taut.recipe import CHOICES, Option, Recipe, flat, option_named, options, recipe_of
from taut.runs import to_toml

CASES = [(option, owner) for option in options().values() for owner in (option.owners or (None,))]
_MODEL_OF = {"likelihood": "vae"}


def _asked(option: Option, owner: str | None) -> dict[str, Any]:
    choice: dict[str, Any] = {}
    if option.table == "likelihood":
        choice = {"likelihood": owner}
    elif owner is not None:
        choice = {option.table: owner}
    if option.table == "inference" and owner in ("em", "online-em"):
        choice["model"] = "gmm"
    return {**choice, **with_it(option), option.name: value_of(option, owner)}


def _found(recipe: Recipe, option: Option) -> Any:
    if option.table == "likelihood":
        return recipe.model.likelihood_options[option.field]
    return getattr(getattr(recipe, option.table), option.field)


@pytest.mark.parametrize(
    ("option", "owner"), CASES, ids=[f"{o.name}-{owner}" for o, owner in CASES]
)
def test_an_option_arrives_and_a_file_keeps_it(option, owner):
    asked = _asked(option, owner)
    recipe = recipe_of(asked)
    found = _found(recipe, option)
    assert plain(found) != plain(option.default)
    text = to_toml(recipe.to_dict())
    again = Recipe.from_dict(tomllib.loads(text))
    assert again.to_dict() == recipe.to_dict()
    assert plain(_found(again, option)) == plain(found)
    by_flat_names = recipe_of({k: v for k, v in flat(tomllib.loads(text)).items() if k != "data"})
    assert by_flat_names.to_dict() == recipe.to_dict()


def test_the_seed_arrives():
    assert recipe_of({"seed": 7}).seed == 7
    assert Recipe.from_dict(recipe_of({"seed": 7}).to_dict()).seed == 7


def test_one_name_has_one_meaning():
    """No two fields share a flat name, and no choice's option has the name of a table of choices."""
    fields = [(option.table, option.field) for option in options().values()]
    assert len(set(fields)) == len(fields)
    assert not options().keys() & CHOICES.keys()
    assert all(option_named(name) is option for name, option in options().items())


def test_every_option_has_words_of_its_own():
    for option in options().values():
        assert len(option.help) > 10, option.name
