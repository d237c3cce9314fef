"""What the parts of an audit count is whole and enough, or refused in one line that names it."""

import re

import jax
import numpy as np
import pytest
from known_models import LinearGaussian, LinearGuide
from unchecked import types_unchecked

from taut.audit import audited_evidence, gaps, holes, surgery, two_sample
from taut.core import Datum, InputError, Pair

RNG = np.random.default_rng(1)
PAIR = Pair(LinearGaussian(np.eye(2), 0.5), LinearGuide(np.eye(2), np.array([0.5, 0.5])))
ROWS = Datum(RNG.normal(size=(6, 2)))
KEY = jax.random.key(0)

COUNTS = {
    ("surgery", "num_drawn"): lambda n: surgery(PAIR, ROWS, key=KEY, num_drawn=n),
    ("surgery", "num_components"): lambda n: surgery(PAIR, ROWS, key=KEY, num_components=n),
    ("surgery", "num_draws"): lambda n: surgery(PAIR, ROWS, key=KEY, num_draws=n),
    ("holes", "num_samples"): lambda n: holes(PAIR, ROWS, ROWS, key=KEY, num_samples=n),
    ("holes", "num_draws"): lambda n: holes(PAIR, ROWS, ROWS, key=KEY, num_draws=n),
    ("gaps", "num_draws"): lambda n: gaps(PAIR, ROWS, _evidence(), key=KEY, num_draws=n),
    ("two_sample", "num_dealings"): lambda n: two_sample(
        ROWS.x[:3], ROWS.x[3:], RNG, num_dealings=n
    ),
}


def _evidence():
    return audited_evidence(PAIR, ROWS, key=KEY, num_particles=20)[0]


@pytest.mark.parametrize("count", [0, -1, 2.5, True], ids=repr)
@pytest.mark.parametrize(("of", "name"), COUNTS)
def test_too_few_are_refused_by_their_name(of, name, count, float64):
    with types_unchecked(), pytest.raises(InputError) as refused:
        COUNTS[of, name](count)
    message = str(refused.value)
    assert message.startswith(f"{name}: expected ")
    assert re.search(rf"got {re.escape(repr(count))}\b", message)


def test_more_than_there_are_is_all_of_them(float64):
    found = surgery(PAIR, ROWS, key=KEY, num_drawn=100, num_components=100, num_draws=2)
    assert found.num_components == len(found.drawn.numbers) == 6


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("wrong", ["none", "nan", "columns", "axis"])
def test_two_samples_are_of_rows_that_can_be_told_apart(wrong, place):
    bad = {
        "none": np.zeros((0, 2)), "nan": np.array([[0.0, np.nan]]), "columns": np.zeros((4, 3)),
        "axis": np.zeros(4),
    }  # fmt: skip
    samples = [np.ones((4, 2)), np.ones((4, 2))]
    samples[place] = bad[wrong]
    with types_unchecked(), pytest.raises(InputError, match=r"^two_sample: expected "):
        two_sample(samples[0], samples[1], RNG)
