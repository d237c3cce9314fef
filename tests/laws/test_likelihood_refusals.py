"""What a likelihood refuses, which one is chosen and why, and the messages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from likelihood_cases import LEVELS

from taut.core import InputError
from taut.models.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    Poisson,
    choose_likelihood,
    make_likelihood,
)

# --- check --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        (
            "bernoulli",
            0.25,
            "digits, row 1, cell 2: expected 0 or 1 in every cell of a Bernoulli, got 0.25. "
            'Try likelihood="continuous-bernoulli", or binarize="static".',
        ),
        (
            "bernoulli",
            1.5,
            "digits, row 1, cell 2: expected 0 or 1 in every cell of a Bernoulli, got 1.5. "
            'Try likelihood="gaussian".',
        ),
        (
            "continuous-bernoulli",
            1.5,
            "digits, row 1, cell 2: expected a number in [0, 1] in every cell of a continuous "
            'Bernoulli, got 1.5. Try likelihood="gaussian" for reals, or scaling the data to [0, 1].',
        ),
        (
            "discretized-logistic",
            0.3,
            "digits, row 1, cell 2: expected k/4 with k = 0..4 (5 levels), got 0.3. Try "
            'likelihood="continuous-bernoulli" for reals in [0, 1], likelihood="gaussian" for others.',
        ),
        (
            "gaussian",
            np.inf,
            "digits, row 1, cell 2: expected a finite number in every cell, got inf. Try marking the "
            "cell as missing, or a transform of the column that keeps it finite.",
        ),
        ("student-t", -np.inf, "digits, row 1, cell 2: expected a finite number"),
        (
            "categorical",
            5.0,
            "digits, row 1, cell 2: expected a category code in 0..4, got 5. Try "
            'likelihood="gaussian" for reals, likelihood="negative-binomial" for counts.',
        ),
        (
            "poisson",
            -1.0,
            "digits, row 1, cell 2: expected a count 0, 1, 2, ... in every cell, got -1. Try "
            'likelihood="gaussian" for reals, or counts before any normalization.',
        ),
        ("negative-binomial", 0.5, "digits, row 1, cell 2: expected a count"),
        ("zero-inflated-poisson", np.inf, "digits, row 1, cell 2: expected a count"),
        ("zero-inflated-negative-binomial", 2.5, "digits, row 1, cell 2: expected a count"),
    ],
)
def test_check_names_the_first_bad_cell(name: str, bad: float, message: str):
    likelihood = make_likelihood(name, shape=(3,), levels=LEVELS)
    good = np.array([[0.0, 1.0, np.nan], [1.0, 0.0, 1.0]])
    likelihood.check(good, where="digits")
    likelihood.check(good[1:].astype(int), where="digits")
    with pytest.raises(InputError) as caught:
        likelihood.check(
            np.vstack([good[:1], [[0.0, 1.0, bad]], [[bad, bad, bad]]]), where="digits"
        )
    assert str(caught.value).startswith(message)


def test_check_names_a_cell_of_an_image_and_a_scalar_row():
    image = np.zeros((2, 4, 4))
    image[1, 2, 3] = 0.5
    with pytest.raises(InputError, match=r"x, row 1, cell \(2, 3\): "):
        Bernoulli().check(image, where="x")
    with pytest.raises(InputError, match="x, row 1: "):
        Bernoulli().check(np.array([0.0, 7.0]), where="x")


# --- choices and messages -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poisson", "zero-inflated-negative-binomial"])
def test_counts_that_float32_cannot_tell_apart_are_refused(name: str):
    likelihood = make_likelihood(name, shape=(2,))
    x = np.array([[3.0, 2.0**24 - 1], [2.0**24 + 1, 0.0]])
    likelihood.check(x, where="reads")
    with pytest.raises(InputError, match=(
        r"reads, row 1, cell 0: expected counts below 16777216, up to which float32 tells them apart, "
        r'got 1.67772e\+07. Try precision="float64", or counts of thousands.'
    )):  # fmt: skip
        likelihood.check(x.astype(np.float32), where="reads")


@pytest.mark.parametrize(
    ("kind", "support", "levels", "name", "reason"),
    [
        ("image", "binary", 2, "bernoulli", "pixels are 0 or 1"),
        ("image", "grey", 17, "discretized-logistic", "pixels are grey levels k/16, 17 of them"),
        ("image", "grey", 2, "bernoulli", "pixels are 0 or 1"),
        ("image", "grey", None, "continuous-bernoulli", "a Bernoulli would not be a density"),
        ("table", "unit", None, "continuous-bernoulli", "cells are reals in [0, 1]"),
        ("table", "count", None, "negative-binomial", "cells are counts"),
        ("table", "real", None, "gaussian", "cells are reals"),
        ("table", "categorical", 7, "categorical", "cells are one of 7 categories"),
    ],
)
def test_choice_and_its_reason(kind: str, support: str, levels: int | None, name: str, reason: str):
    chosen, because = choose_likelihood(kind=kind, support=support, levels=levels)
    assert chosen == name
    assert reason in because
    make_likelihood(chosen, shape=(2,), levels=levels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_likelihood("bernuli", shape=(2,)),
            "likelihood: expected the name of a likelihood, got 'bernuli'. Try 'bernoulli'.",
        ),
        (
            lambda: make_likelihood("gaussian", shape=(2,), scales="datum"),
            "likelihood gaussian: expected an option of the likelihood gaussian, got 'scales'. Try "
            "'scale'.",
        ),
        (
            lambda: make_likelihood("bernoulli", shape=(2,), floor=1.0),
            "likelihood bernoulli: expected an option of the likelihood bernoulli, got 'floor'. Try "
            "a likelihood that has it: discretized-logistic, gaussian, student-t, negative-binomial, "
            "zero-inflated-negative-binomial.",
        ),
        (
            lambda: make_likelihood("bernoulli", shape=(2,), sharpness=1.0),
            "likelihood bernoulli: expected an option of the likelihood bernoulli, got 'sharpness'. "
            "Try no option: it has none.",
        ),
        (
            lambda: make_likelihood("categorical", shape=(2,)),
            "likelihood categorical: expected the number of levels of a categorical cell, got none.",
        ),
        (
            lambda: choose_likelihood(kind="images", support="real", levels=None),
            "kind of data: expected image or table, got 'images'. Try 'image'.",
        ),
        (
            lambda: choose_likelihood(kind="image", support="gray", levels=None),
            "support of the data: expected a support in binary, grey, unit, count, real, "
            "categorical, got 'gray'. Try 'grey'.",
        ),
        (
            lambda: choose_likelihood(kind="table", support="categorical", levels=None),
            "levels: expected the number of categories, got none.",
        ),
        (
            lambda: Gaussian(shape=(2,), scale="row"),
            "scale: expected a scale per model, dimension, datum, got 'row'.",
        ),
        (
            lambda: Gaussian(shape=(2,), floor=0.0),
            "likelihood_floor: expected a positive floor, got 0.0. Try likelihood_floor=0.001.",
        ),
        (
            lambda: DiscretizedLogistic(levels=1),
            "levels: expected at least 2 levels, got 1. Try levels=256.",
        ),
        (
            lambda: DiscretizedLogistic(levels=4, floor=-1.0),
            "likelihood_floor: expected a positive floor, got -1.0.",
        ),
        (
            lambda: Categorical(levels=1),
            "levels: expected at least 2 levels, got 1. Try levels=2.",
        ),
        (
            lambda: Poisson(library=True, library_size=0.0),
            "library_size: expected a positive library size, got 0.0. Try 1e4.",
        ),
    ],
)
def test_messages(call: Callable[[], Any], message: str):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
