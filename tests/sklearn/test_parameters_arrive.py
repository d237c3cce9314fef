"""Every parameter of an estimator that is fitted by EM arrives, and the seed of those upon one."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from taut.sklearn import (
    AnomalyDetector,
    FactorModel,
    Imputer,
    Mixture,
    SemiSupervisedClassifier,
)

ROWS = np.random.default_rng(0).normal(size=(40, 3)).round(2)
SIDE = np.arange(40) % 2

# By estimator and parameter: a value unlike the default, where it arrives, and as what.
EM_OPTIONS = {
    "n_init": (7, "inference.restarts", 7), "tol": (0.25, "inference.tolerance", 0.25),
    "max_iter": (17, "inference.max_iterations", 17), "floor": (0.5, "inference.floor", 0.5),
    "reg_covar": (0.125, "inference.reg_covar", 0.125), "random_state": (9, "seed", 9),
    "n_components": (2, "architecture.components", 2),
}  # fmt: skip
WISHES: dict[Any, dict[str, tuple[Any, str, Any]]] = {
    Mixture: {
        **EM_OPTIONS,
        "covariance_type": ("tied", "architecture.covariance", "tied"),
        "columns": ("mixed", "architecture.name", "mixed"),
    },
    FactorModel: {
        **{n: EM_OPTIONS[n] for n in ("tol", "max_iter", "random_state")},
        "n_components": (1, "architecture.components", 1),
        "model": ("ppca", "architecture.name", "ppca"),
    },
}
ELSEWHERE = {Mixture: {"kind", "warm_start"}, FactorModel: {"warm_start"}}  # in their own tests


class Called(Exception):
    """The recorder was reached, and has nothing to give back."""


@pytest.mark.parametrize("estimator", WISHES)
def test_every_parameter_of_em_arrives(estimator, monkeypatch):
    def fitted(data, architecture, inference, **given):
        raise Called({"architecture": architecture, "inference": inference, **given})

    def arrived(place: str, **wish: Any) -> Any:
        with pytest.raises(Called) as raised:
            estimator(**{"random_state": 0, **wish}).fit(ROWS)
        table, _, name = place.partition(".")
        found = raised.value.args[0][table]
        return getattr(found, name) if name else found

    monkeypatch.setattr(f"{estimator.__module__}.fitted_to_all", fitted)
    wishes = WISHES[estimator]
    assert set(estimator().get_params()) == {*wishes, *ELSEWHERE[estimator]}
    for name, (wish, place, wanted) in wishes.items():
        assert arrived(place, **{name: wish}) == wanted, name
        assert arrived(place) != wanted, name


QUICK = Mixture(n_init=1, max_iter=1)


@pytest.mark.parametrize("estimator", [Imputer, AnomalyDetector, SemiSupervisedClassifier])
def test_the_seed_of_what_is_upon_a_model_is_that_of_the_model(estimator):
    upon = estimator(QUICK, random_state=9).fit(ROWS, SIDE)
    assert upon.estimator_.random_state == 9
    upon = estimator(clone(QUICK).set_params(random_state=3)).fit(ROWS, SIDE)
    assert upon.estimator_.random_state == 3
