"""An option that a fit has no use for is refused in Python, as on the command line."""

from typing import Any

import numpy as np
import pytest

import taut
from taut.core import InputError

ROWS = np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(scope="module")
def exact() -> Any:
    return taut.em(ROWS, model="ppca", components=1)


@pytest.mark.parametrize(
    ("call", "option", "got"),
    [
        (lambda fit: fit.sample(2, num_particles=9), "num_particles", "none"),
        (lambda fit: fit.sample(2, given={"x0": 1.0}, num_particles=9), "num_particles", "an exact one"),
        (lambda fit: fit.impute(ROWS, num_particles=9), "num_particles", "the model ppca"),
        (lambda fit: taut.em(ROWS, force=True), "force", "none"),
        (lambda fit: taut.fit(ROWS, force=True), "force", "none"),
    ],
    ids=["sample", "given", "impute", "em", "fit"],
)  # fmt: skip
def test_an_option_without_a_use_is_refused(exact, call, option, got):
    said = rf"^{option}: expected .*, which `{option}` is for, got {got}.*\. Try leaving out"
    with pytest.raises(InputError, match=said):
        call(exact)
