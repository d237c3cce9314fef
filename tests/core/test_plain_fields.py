"""Options of Equinox modules are Python's numbers, whoever's they were, so that equal ones are equal."""

import dataclasses
import warnings
from typing import Any, get_type_hints

import numpy as np
import pytest
from unchecked import types_unchecked

import taut
from taut.bounds import BOUNDS
from taut.counterfactuals import Below, Between, Class
from taut.gradients import REBAR, MovingAverage
from taut.models.likelihoods import NegativeBinomial
from taut.transforms import Logit


@pytest.mark.parametrize(
    "made",
    [
        lambda n: taut.ELBO(beta=n(0.5), free_bits=n(0.25), kl="closed"),
        lambda n: taut.Renyi(alpha=n(0.5)),
        lambda n: REBAR(temperature=n(0.5)),
        lambda n: MovingAverage(n(0.5)),
        lambda n: Class(1, n(0.75)),
        lambda n: Between(n(0.25), n(np.inf)),
        lambda n: Below(threshold=n(2)),
        lambda n: Logit((2,), n(0), n(4)),
        lambda n: NegativeBinomial(shape=(2,), library=True, library_size=n(64), floor=n(0.125)),
    ],
)
@pytest.mark.parametrize("number", [np.float32, np.float64, np.float16])
def test_numbers_of_numpy_are_taken_without_a_word(made, number):
    with warnings.catch_warnings(), types_unchecked():
        warnings.simplefilter("error")
        found = made(number)
    assert repr(found) == repr(made(float))


@pytest.mark.parametrize("bound", BOUNDS.values())
def test_counts_of_numpy_are_taken_without_a_word(bound):
    made: Any = bound
    name = "num_draws" if bound is taut.ELBO else "num_particles"
    with warnings.catch_warnings(), types_unchecked():
        warnings.simplefilter("error")
        found = made(**{name: np.int64(3)})
    assert repr(found) == repr(made(**{name: 3}))


@pytest.mark.parametrize("made", [taut.ELBO, taut.Renyi, REBAR, NegativeBinomial, Class])
def test_options_keep_their_types(made):
    """By which flags and files are read."""
    hints = get_type_hints(made.__init__)
    static = [f for f in dataclasses.fields(made) if f.metadata.get("static")]
    named = {f.name: f.type for f in static if f.name in hints}
    assert named
    assert {name: hints[name] for name in named} == named
