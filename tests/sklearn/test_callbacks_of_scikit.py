"""Callbacks of scikit-learn 1.9: what they are told, what they see of a fit, and how they end it."""

import importlib.util
import io
import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from taut.sklearn import VAE, AnomalyDetector, Mixture, callback_tasks

GENERATOR = np.random.default_rng(0)
SIDE = np.repeat([0, 1], 60)
ROWS = GENERATOR.normal(size=(120, 2)) + 5 * SIDE[:, None]
MIXTURE = Mixture(2, n_init=2, max_iter=3, tol=0.0, random_state=0)


class Told:
    """Keeps what it is told, and ends the level at hand after some tasks."""

    def __init__(self, most: float = np.inf):
        self.most, self.names, self.scores, self.ended = most, [], [], False

    def setup(self, estimator: Any, context: Any) -> None:
        self.names.append("setup")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.names.append(f"+ {context.estimator_name}: {context.task_name}")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, fitted_estimator: Any = None
    ) -> bool:
        self.names.append(f"- {context.estimator_name}: {context.task_name}")
        if hasattr(fitted_estimator, "score"):
            self.scores.append(fitted_estimator.score(X))
        return len(self.names) > self.most

    def teardown(self, estimator: Any, context: Any) -> None:
        self.ended = True


class Propagated(Told):
    max_propagation_depth = None


def test_every_iteration_of_every_start_is_a_task_with_its_model():
    told = Told()
    fitted = clone(MIXTURE).set_callbacks(told).fit(ROWS)
    steps = [f"start {i}, iteration {j}" for i in (0, 1) for j in (1, 2, 3)]
    assert told.names[:2] == ["setup", "+ Mixture: fit"]
    assert told.names[2:-1] == [f"{sign} Mixture: {name}" for name in steps for sign in "+-"]
    assert told.names[-1] == "- Mixture: fit"
    assert told.ended
    assert (
        told.scores[-1] == fitted.score(ROWS) == pytest.approx(max(told.scores[2], told.scores[5]))
    )
    for own in (told.scores[:3], told.scores[3:6]):
        assert own == sorted(own)
    again = clone(MIXTURE).fit(ROWS)
    np.testing.assert_array_equal(again.means_, fitted.means_)


def test_true_after_an_iteration_ends_em_there():
    fitted = clone(MIXTURE).set_callbacks(Told(most=5)).fit(ROWS)
    assert fitted.n_iter_ == 2
    assert not fitted.converged_
    short = clone(MIXTURE).set_params(max_iter=2, n_init=1).fit(ROWS)
    np.testing.assert_array_equal(fitted.means_, short.means_)


def test_what_a_callback_raises_ends_the_fit_and_tears_it_down():
    class Broken(Told):
        def on_fit_task_end(self, estimator: Any, context: Any) -> None:
            raise KeyboardInterrupt

    told = Broken()
    model = clone(MIXTURE).set_callbacks(told)
    with pytest.raises(KeyboardInterrupt):
        model.fit(ROWS)
    assert told.ended
    assert not hasattr(model, "fit_")


def test_the_monitor_of_scikit_learn_scores_every_iteration():
    def scoring(model: Any, X: Any, y: Any, *, sample_weight: Any) -> dict[str, float]:
        return {"score": model.score(X, sample_weight=sample_weight)}

    monitor = ScoringMonitor(scoring=scoring)
    weight = np.where(SIDE, 2.0, 1.0)
    fitted = clone(MIXTURE).set_callbacks(monitor).fit(ROWS, SIDE, sample_weight=weight)
    scores = [row["score"] for row in monitor.get_logs().data if "score" in row]
    assert len(scores) == 7
    assert max(scores) == fitted.score(ROWS, sample_weight=weight)


def test_the_bar_of_scikit_learn_reaches_into_pipelines():
    told, screen = Propagated(), io.StringIO()
    pipeline = make_pipeline(StandardScaler(), AnomalyDetector(clone(MIXTURE)))
    with redirect_stdout(screen):
        pipeline.set_callbacks(told, ProgressBar(max_propagation_depth=2)).fit(ROWS)
    assert "Mixture" in screen.getvalue()
    inner = told.names.index("+ Mixture: fit")
    assert told.names.index("+ AnomalyDetector: fit") < inner < told.names.index("- Mixture: fit")
    assert told.names.count("- Mixture: start 1, iteration 3") == 1


def test_training_ends_at_the_validation_after_which_a_callback_says_so():
    told = Told(most=5)
    model = VAE(1, hidden=(4,), max_epochs=100, batch_size=54, patience=0, draws=1, random_state=0)
    fitted = model.set_callbacks(told).fit(ROWS)
    assert told.names[2:6] == [
        f"{s} VAE: validation {i}" for i in (0, 1) for s in "+-"
    ]  # fmt: skip
    assert fitted.n_iter_ == 100
    assert fitted.fit_.facts.ended == "early"
    assert np.isfinite(fitted.score(ROWS))


def test_a_version_without_callbacks_loses_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec: Any = importlib.util.spec_from_file_location("alone", callback_tasks.__file__)
    alone: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert not hasattr(alone.CallbackSupport, "set_callbacks")
    assert alone.with_callbacks(len) is len
    task = alone.FitTask(Mixture(), ROWS, None)
    with task.of(Mixture()):
        task.begin("start 0, iteration 1")
    assert [task.heard, task.end()] == [False, False]
    task.finish()
