"""Methods of evidence by name and with options of their own."""

from typing import Any

import pytest
from unchecked import types_unchecked

from taut.errors import InputError
from taut.evidence import Annealed
from taut.fitted.methods import METHODS, method_of


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_a_name_has_the_draws_that_are_asked_for(name):
    chosen: Any = method_of(name, 77)
    assert chosen.name == name
    assert chosen.num_particles == 77


def test_a_method_keeps_its_own_options():
    mine: Any = Annealed(temperatures=7)
    assert method_of(mine, None) is mine
    assert method_of(mine, 30) == Annealed(temperatures=7, num_particles=30)
    chosen: Any = method_of("annealed", None)
    assert chosen == Annealed()


def test_no_draws_are_refused_and_not_replaced_by_a_default():
    with pytest.raises(InputError):
        method_of("annealed", 0)


@pytest.mark.parametrize("wrong", ["anealed", 3, None, ["refined"]])
def test_another_name_is_refused_with_the_nearest(wrong: Any):
    with types_unchecked(), pytest.raises(InputError, match="expected one of importance"):
        method_of(wrong, None)
