"""Metrics are in units of `scale`: columns in other units, and a scale in them, change none."""

from dataclasses import fields
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from unchecked import types_unchecked

from taut.counterfactuals import Class, Constraints, Counterfactuals, Differentiable, metrics

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(80, 2))
X = np.asarray([[-1.0, 0.0], [-0.5, 0.5], [-2.0, 1.0]])
ANSWERS = X[:, None] + np.asarray([[2.0, 0.0], [1.5, -2.0], [1.0, 0.5]])


def _measured(units: np.ndarray) -> Any:
    """Every metric of three answers to each row, in these units."""
    judge = Differentiable(lambda x: jnp.array([0.0, 4.0]) * x[0] / units[0])
    known: dict[str, Any] = {
        "answers": ANSWERS * units, "reasons": np.full((3, 3), "reached"),
        "queries": np.arange(9).reshape(3, 3),
    }  # fmt: skip
    with types_unchecked():
        found = Counterfactuals(**{**{f.name: None for f in fields(Counterfactuals)}, **known})
        return metrics(
            {"found": found}, X * units, target=Class(1, 0.9), classifier=judge, train=TRAIN * units,
            of_target=TRAIN[:, 0] > 0, others=[judge], scale=units,
            log_density=lambda x: -((x / units) ** 2).sum(axis=1),
            box=Constraints(ranges={0: (-2 * units[0], 0.75 * units[0])}).box(2, None, X * units),
        ).of["found"]  # fmt: skip


def test_no_metric_depends_on_the_units_of_the_columns():
    plain, other = _measured(np.ones(2)), _measured(np.asarray([1000.0, 0.01]))
    assert plain.keys() == other.keys()
    for name, mean in plain.items():
        assert other[name].value == pytest.approx(mean.value, rel=1e-5), name
        assert other[name].error == pytest.approx(mean.error, rel=1e-5), name
    apart = np.linalg.norm(ANSWERS[0][:, None] - ANSWERS[0], axis=-1)
    assert plain["diversity"].value == pytest.approx(apart.sum() / 6)
    assert plain["queries"].value == 3  # of the first answer to each row
