"""An option that a fit has no use for is refused in Python, as on the command line."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import taut
from taut.core import InputError
from taut.training import TrainingOptions

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


STEPS = [field for field in fields(TrainingOptions) if field.name not in ("head", "precision")]


@pytest.mark.parametrize("name", [field.name for field in STEPS])
@pytest.mark.parametrize("inference", ["em", "online-em"])
def test_an_option_of_training_by_steps_is_refused_where_there_are_none(name, inference):
    usual = {"optimizer": "sgd", "learning_rate_schedule": "cosine", "validation_bound": "elbo"}
    value = usual.get(name, 0.5 if name in ("hide", "clip_norm", "ema") else 7)
    asked = {"model": "ppca", "components": 1, "inference": inference, name: value}
    with pytest.raises(
        InputError, match=rf"steps, which `{name}` is for, got inference=\"{inference}\""
    ):
        taut.fit(ROWS, **asked)


def test_em_runs_in_float64_and_in_no_other_precision():
    fitted = taut.fit(ROWS, model="ppca", components=1, precision="float64")
    assert fitted.precision == "float64"
    with pytest.raises(InputError, match="which `precision` is for"):
        taut.fit(ROWS, model="ppca", components=1, precision="bfloat16")
