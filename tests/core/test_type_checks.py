"""What the suite checks in every call: the annotations of taut, types and shapes alike."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import pytest
import type_checks
from jaxtyping import Array, Float
from type_checks import WrongType, checked
from unchecked import types_unchecked

import taut
from taut.core import num_rows


@checked(typechecker=None)
def outer(x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, " n"]:
    return (inner(x[:1]) + y)[: len(x)]


@checked(typechecker=None)
def inner(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x


@checked(typechecker=None)
def shortened(x: Float[Array, " n"], name: str = "a", *, unknown: "Missing" = 1) -> Any:  # pyright: ignore
    return x[1:]


@checked(typechecker=None)
def same_length(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x[1:]


@checked(typechecker=None)
@dataclasses.dataclass(frozen=True)
class Named:
    name: str
    values: Float[Array, " n"]


THREE, TWO = jnp.zeros(3), jnp.zeros(2)


def test_axes_of_one_name_are_of_one_length_in_each_call_alone():
    assert outer(THREE, THREE).shape == (3,)
    assert outer(TWO, TWO).shape == (2,)
    with pytest.raises(WrongType, match="dimension n"):
        outer(THREE, TWO)
    with pytest.raises(WrongType, match="dimension n"):
        same_length(THREE)


@pytest.mark.parametrize(
    "call", [lambda: shortened(THREE, 1), lambda: shortened(jnp.zeros((2, 2))),
             lambda: Named(1, THREE), lambda: Named("a", jnp.zeros(3, int))],
)  # fmt: skip
def test_a_wrong_type_is_caught_and_let_through_where_a_test_asks(call):
    with pytest.raises(WrongType):
        call()
    with types_unchecked():
        call()


def test_annotations_without_a_meaning_at_run_time_promise_nothing():
    assert shortened(THREE, unknown="anything").shape == (2,)


@pytest.mark.parametrize("call", [lambda: num_rows(THREE), lambda: taut.VAE(network=2)])
def test_the_functions_and_dataclasses_of_taut_are_checked(call):
    with pytest.raises(WrongType):
        call()


def scaled(factor: Any) -> Any:
    @checked(typechecker=None)
    def times(x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, " n"]:
        return factor * x + y

    return times


def test_a_function_made_anew_is_itself_and_is_checked_alike():
    """Within another function, whose variables differ from call to call."""
    twice, thrice = scaled(2.0), scaled(3.0)
    assert float(twice(THREE + 1, THREE)[0]) == 2
    assert float(thrice(THREE + 1, THREE)[0]) == 3
    assert float(twice(TWO + 1, y=TWO)[0]) == 2
    for function in (twice, thrice):
        with pytest.raises(WrongType, match="dimension n"):
            function(THREE, TWO)
        with pytest.raises(WrongType):
            function(THREE, y=1)


def test_it_takes_no_check_of_its_own():
    scaled(2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type_checks, "_CHECK", None)
        assert float(scaled(4.0)(THREE + 1, THREE)[0]) == 4
