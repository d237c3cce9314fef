"""Callbacks: told of every step in order; what they raise stops a fit that can be resumed."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import taut
from taut.callbacks import Callback, MLflow, TensorBoard
from taut.core import Estimate, InputError

ROWS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
QUICK = {
    "latent_dim": 1, "hidden": (3,), "epochs": 2, "batch_size": 4, "validate_every": 8,
    "evidence_particles": 2,
}  # fmt: skip


class Recorded(Callback):
    """Keeps what it is told; raises after a step if it is asked to."""

    def __init__(self, stop: int | None = None):
        self.steps: list[int] = []
        self.bounds: list[float] = []
        self.validations: list[tuple[int, Estimate]] = []
        self.fits: list[Any] = []
        self._stop = stop

    def on_step(self, step, metrics):
        self.steps.append(step)
        self.bounds.append(metrics["bound"])
        if step == self._stop:
            raise ZeroDivisionError("as it was asked to")

    def on_validation(self, step, estimate):
        self.validations.append((step, estimate))

    def on_end(self, fit):
        self.fits.append(fit)


def test_every_step_and_validation_is_told_as_the_history_has_it():
    told = Recorded()
    fit = taut.fit(ROWS, callbacks=[told], **QUICK)
    assert told.steps == [record["step"] for record in fit.history]
    assert told.bounds == [record["bound"] for record in fit.history]
    looked = [(r["step"], r["validation"]["value"]) for r in fit.history if "validation" in r]
    assert [(step, e.value) for step, e in told.validations] == looked
    assert told.fits == [fit]


def test_a_callback_changes_nothing():
    plain, watched = (taut.fit(ROWS, callbacks=c, **QUICK) for c in ([], [Recorded()]))
    assert watched.estimates["elbo"].value == plain.estimates["elbo"].value


def test_a_callback_that_raises_leaves_a_run_to_go_on_with(tmp_path):
    whole = taut.fit(ROWS, out=tmp_path / "whole", **QUICK)
    stopped, again = Recorded(stop=2), Recorded()
    with pytest.raises(ZeroDivisionError, match="as it was asked to"):
        taut.fit(ROWS, out=tmp_path / "run", callbacks=[stopped], **QUICK)
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    fit = taut.fit(ROWS, out=tmp_path / "run", resume=True, callbacks=[again], **QUICK)
    assert again.steps  # those after the checkpoint, none of them anew
    assert again.steps == list(range(again.steps[0], whole.facts.steps))
    assert again.steps[0] > 2
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert fit.estimates["elbo"].value == whole.estimates["elbo"].value


class Raised(Callback):
    """Keeps what a fit raised, and raises another thing."""

    def __init__(self):
        self.errors: list[BaseException] = []

    def on_exception(self, error):
        self.errors.append(error)
        raise OSError("no server")


@pytest.mark.parametrize(
    "call",
    [lambda **told: taut.fit(ROWS, epoch=3, **told), lambda **told: taut.em(ROWS[:, :0], **told),
     lambda **told: taut.fit("nothing.csv", **told)],
    ids=["option", "em", "data"],
)  # fmt: skip
def test_every_callback_is_told_of_what_a_fit_raises(call):
    first, second = Raised(), Raised()
    with pytest.raises(InputError) as raised:
        call(callbacks=iter([first, second]))
    assert first.errors == second.errors == [raised.value]
    assert raised.value.__notes__ == ["Raised.on_exception raised OSError('no server')"] * 2


def test_what_another_callback_raises_is_a_failure_and_no_end():
    told = []
    watching = SimpleNamespace(on_end=told.append, on_exception=told.append)
    odd = SimpleNamespace(on_step=lambda step, metrics: 1 / 0)
    with pytest.raises(ZeroDivisionError) as raised:
        taut.em(ROWS, model="ppca", components=1, callbacks=[watching, odd])
    assert told == [raised.value]


def test_em_tells_its_iterations():
    told = Recorded()
    fit = taut.em(ROWS, model="ppca", components=1, callbacks=[told])
    assert told.bounds[-1] == pytest.approx(fit.history[-1]["bound"])
    assert told.fits == [fit]


def test_an_object_with_one_of_the_methods_serves():
    seen = []
    taut.em(ROWS, model="ppca", components=1, callbacks=[SimpleNamespace(on_end=seen.append)])
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("given", "got"),
    [([Recorded], "got the class Recorded"), ([print], "got <built-in"), ([None], "got None")],
)
def test_what_is_no_callback_is_refused_before_anything_is_computed(given, got):
    with pytest.raises(InputError, match=got):
        taut.fit(ROWS, callbacks=given, **QUICK)


@pytest.mark.parametrize(
    ("logger", "module", "extra"),
    [(lambda: MLflow(), "mlflow", "mlflow"),
     (lambda: TensorBoard("x"), "tensorboardX", "tensorboard")],
)  # fmt: skip
def test_a_missing_extra_names_itself(monkeypatch, logger, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"pip install 'taut\[{extra}\]'"):
        logger()


def test_tensorboard_is_given_scalars_that_are_finite(monkeypatch):
    scalars, texts = {}, {}
    writer = SimpleNamespace(
        add_scalar=lambda tag, value, step: scalars.__setitem__((tag, step), value),
        add_text=lambda tag, text, step: texts.__setitem__(tag, text),
        flush=lambda: None, close=lambda: texts.__setitem__("closed", True),
    )  # fmt: skip
    monkeypatch.setitem(
        sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=lambda _: writer)
    )
    logger = TensorBoard("x", every=2)
    for step, bound in enumerate([-3.0, -2.0, float("nan"), -1.5, -1.0]):
        logger.on_step(step, {"bound": bound})
    logger.on_validation(4, Estimate(-0.5, "lower"))
    evidence = Estimate(-1.0, "exact")
    logger.on_end(SimpleNamespace(estimates={"log_evidence": evidence}))
    assert scalars == {
        ("training/bound", 0): -3.0, ("training/bound", 4): -1.0, ("validation/bound", 4): -0.5,
        ("test/log_evidence", 4): -1.0,
    }  # fmt: skip
    assert texts == {"test/log_evidence": str(evidence), "closed": True}
    texts.clear()
    logger.on_exception(ValueError())
    assert texts == {"closed": True}


def logged_to(monkeypatch, active: bool) -> SimpleNamespace:
    """A server of MLflow that keeps what it is told."""
    batches, params, ended = [], {}, []
    run = SimpleNamespace(info=SimpleNamespace(run_id="7"))
    fake = SimpleNamespace(
        active_run=lambda: run if active else None, start_run=lambda run_name: run,
        end_run=ended.append, log_params=params.update, set_tags=lambda tags: None,
        entities=SimpleNamespace(Metric=lambda *parts: parts),
        MlflowClient=lambda: SimpleNamespace(
            log_batch=lambda run_id, metrics: batches.append((run_id, metrics))
        ),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.entities", fake.entities)
    return SimpleNamespace(batches=batches, params=params, ended=ended)


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_mlflow_has_all_steps_of_a_fit_that_raises(monkeypatch, active, error, status):
    server = logged_to(monkeypatch, active)
    logger = MLflow()
    logger.on_step(0, {"bound": -2.0})
    logger.on_exception(error)
    logger.on_exception(error)
    assert [metric[1] for _, metrics in server.batches for metric in metrics] == [-2.0]
    assert server.ended == ([] if active else [status])


@pytest.mark.parametrize("active", [False, True])
def test_mlflow_is_given_metrics_in_batches_and_options(monkeypatch, active):
    server = logged_to(monkeypatch, active)
    batches, params = server.batches, server.params
    logger = MLflow()
    for step in range(1200):
        logger.on_step(step, {"bound": float(step)})
    logger.on_end(SimpleNamespace(
        estimates={"elbo": Estimate(-1.0, "lower", 0.1, 0.2)},
        recipe=SimpleNamespace(to_dict=lambda: {"model": {"name": "vae", "hidden": [3] * 900}}),
    ))  # fmt: skip
    assert all(run_id == "7" and len(metrics) <= 1000 for run_id, metrics in batches)
    logged = [metric for _, metrics in batches for metric in metrics]
    assert [m[1] for m in logged if m[0] == "training_bound"] == list(range(1200))
    assert {m[0]: m[1] for m in logged if m[0] != "training_bound"} == {
        "test_elbo": -1.0, "test_elbo_mc_error": 0.1, "test_elbo_data_error": 0.2,
    }  # fmt: skip
    assert params["model.name"] == "vae"
    assert len(params["model.hidden"]) <= 500
    assert server.ended == ([] if active else ["FINISHED"])  # the user's own is the user's to end
