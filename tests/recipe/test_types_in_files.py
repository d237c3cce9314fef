"""A file of options whose values are of other types than the options: one line, whatever is swapped."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from taut.architectures import ARCHITECTURES
from taut.bounds import IWAE
from taut.core import InputError
from taut.recipe import Recipe, recipe_from

OTHERS = ("!", -1.5, True, [], ["a"], {"a": 1}, 10**30)


def _whole() -> dict[str, Any]:
    content = Recipe(model=ARCHITECTURES["vae"]()).to_dict()
    return content | {"bound": IWAE(num_particles=3).to_dict(), "gradient": {"name": "dreg"}}


def _places(content: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in content.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _places(value, (*path, key))


def test_the_recipe_itself_is_read():
    assert recipe_from(_whole()).to_dict() == _whole()


@pytest.mark.parametrize("path", [*_places(_whole())], ids=".".join)
def test_a_value_of_another_type_is_refused_or_read(path):
    """And what is read can be written again."""
    for other in OTHERS:
        content = copy.deepcopy(_whole())
        table = content
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = other
        try:
            read = recipe_from(content)
        except InputError:
            continue
        recipe_from(read.to_dict())


def test_text_for_a_number_is_named_with_its_table():
    content = _whole()
    content["training"]["learning_rate"] = "fast"
    with pytest.raises(InputError, match=r"training\.learning_rate.*expected a number, got 'fast'"):
        recipe_from(content)


def test_a_fraction_for_whole_numbers_is_named():
    content = _whole()
    content["model"]["hidden"] = 1.5
    with pytest.raises(InputError, match=r"model\.hidden.*expected whole numbers .*got 1\.5"):
        recipe_from(content)
