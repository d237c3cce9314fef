"""A classifier of rows in other units is named by what labels say of it."""

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import InputError
from taut.counterfactuals import Differentiable
from taut.counterfactuals.units import check_units
from taut.data import Schema

RNG = np.random.default_rng(0)
GREY = Schema("grey", "image", (2, 2), "grey", levels=17)
TABLE = Schema("table", "table", (2,), "real", shift=(100.0, 5.0), scale=(10.0, 1.0))


def above(threshold):
    return Differentiable(lambda x: jnp.array([0.0, 1.0]) * (x.ravel()[0] - threshold))


def test_grey_levels_and_standardised_columns_are_named():
    x = (RNG.integers(0, 17, (200, 2, 2)) / 16).astype(np.float32)
    label = (x[:, 0, 0] > 0.5).astype(int)
    with pytest.raises(InputError, match=r"right on .* of them, and on 100% multiplied by 16"):
        check_units(above(8.01), x, label, GREY)
    check_units(above(0.501), x, label, GREY)

    x = (RNG.normal(size=(200, 2)) * [10, 1] + [100, 5]).astype(np.float32)
    label = (x[:, 0] > 100).astype(int)
    with pytest.raises(InputError, match=r"100% standardised. Try standardising in the classifier"):
        check_units(above(0.0), x, label, TABLE)
    check_units(above(100.0), x, label, TABLE)


def test_a_classifier_that_is_wrong_in_every_form_is_no_matter_of_units():
    x = (RNG.integers(0, 17, (200, 2, 2)) / 16).astype(np.float32)
    check_units(above(8.01), x, RNG.integers(0, 2, 200), GREY)
