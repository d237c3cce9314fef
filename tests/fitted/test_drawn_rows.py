"""Training rows of a dynamic binarization are measured as zeros and ones, drawn once."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import taut
from taut.api import refitting
from taut.cli.rows import open_run, rows_of
from taut.data import load_data
from taut.fitted import predicting
from taut.fitted.drawn_rows import binarized_once

TINY: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "evidence_particles": 4}
GREY = np.random.default_rng(6).integers(0, 256, (1300, 3, 3)).astype(np.uint8)
SOURCES = {
    "bytes": GREY,
    "shares": GREY / 255,
    "with holes": np.where(GREY == 7, np.nan, GREY / 255),
    "split already": (GREY[:1200], GREY[1200:1250], GREY[1250:]),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", [0, 5])
def test_drawn_once_is_what_a_static_binarization_makes(source, seed):
    grey = load_data(SOURCES[source], binarize="dynamic", seed=seed)
    wanted = load_data(SOURCES[source], binarize="static", seed=seed).train.x
    drawn = binarized_once(grey.train, seed=seed)
    np.testing.assert_array_equal(drawn.x, wanted)
    assert drawn.label is grey.train.label
    some = np.array([700, 3, 3, 11])
    np.testing.assert_array_equal(binarized_once(grey.train[some], seed=seed).x, wanted[some])
    for rows in (grey.test, grey.validation, drawn):
        assert binarized_once(rows, seed=seed) is rows
    for how in ("none", "static", "threshold"):
        rows = load_data(GREY, binarize=how).train
        assert binarized_once(rows, seed=seed) is rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    np.save(folder / "grey.npy", GREY[:200])
    options: dict[str, Any] = {"binarize": "dynamic", "split_seed": 3}
    taut.fit(str(folder / "grey.npy"), **options, **TINY, out=folder / "run")
    return folder


def test_training_rows_are_measured_as_drawn(run):
    fitted, source = taut.load(run / "run"), str(run / "grey.npy")
    grey = load_data(source, binarize="dynamic", seed=3)
    drawn = load_data(source, binarize="static", seed=3).train
    wanted = fitted.evaluate(drawn)
    found = fitted.evaluate(grey.train)
    np.testing.assert_array_equal(found.log_evidence.values, wanted.log_evidence.values)
    np.testing.assert_array_equal(
        fitted.score(grey.train).score.values, fitted.score(drawn).score.values
    )
    audits = [fitted.audit(data, held_out=grey.test, rows=20) for data in (grey.train, drawn)]
    audits.append(fitted.audit(rows=20))
    assert len({json.dumps(audit.to_dict(), sort_keys=True) for audit in audits}) == 1


DOORS = {
    "encode": lambda fit, rows: fit.encode(rows),
    "reconstruct": lambda fit, rows: fit.reconstruct(rows),
    "bound": lambda fit, rows: fit.bound(rows, "elbo").values,
    "score": lambda fit, rows: fit.score(rows).score.values,
    "aggregated posterior": lambda fit, rows: fit.aggregated_posterior(rows).sample(3, key=0),
    "predict": lambda fit, rows: fit.predict(rows).probabilities,
}


@pytest.fixture(scope="module", params=["vae", "mixture-vae"])
def labelled(request, tmp_path_factory):
    """A fit with a target to grey rows, these rows, and the training rows as drawn."""
    path = tmp_path_factory.mktemp("labelled") / "rows.npz"
    np.savez(path, x=GREY[:200], y=np.arange(200) % 2)
    grey, drawn = (
        load_data(f"{path}:x", target="y", binarize=how, seed=4) for how in ("dynamic", "static")
    )
    return taut.fit(grey, model=request.param, **TINY), grey, drawn.train[:]


def test_every_door_takes_training_rows_as_drawn(labelled):
    fit, grey, drawn = labelled
    for name, door in DOORS.items():
        found, wanted = (np.asarray(door(fit, rows)) for rows in (grey.train[:9], drawn[:9]))
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def test_grey_rows_of_a_source_are_drawn_as_those_of_the_fit_were(labelled):
    fit, _, drawn = labelled
    of_array = np.asarray(fit.encode(GREY[:200]))
    np.testing.assert_array_equal(of_array[drawn.index], np.asarray(fit.encode(drawn)))


class _Seen(Exception):
    """Ends a function where the rows are seen, with what was given."""


def _given(monkeypatch, module, name, call):
    def seen(*given, **options):
        raise _Seen(*given)

    monkeypatch.setattr(module, name, seen)
    with pytest.raises(_Seen) as found:
        call()
    monkeypatch.undo()
    return found.value.args


@pytest.mark.parametrize("labelled", ["vae"], indirect=True)
def test_what_is_learned_after_the_fit_sees_rows_as_drawn(labelled, monkeypatch):
    """The heads of a target, and a prior that is fitted to the posteriors of training rows."""
    fit, grey, drawn = labelled
    stacked = replace(fit.recipe.training, head="mixture-vae")
    told = replace(fit, recipe=replace(fit.recipe, training=stacked))
    features, *_ = _given(
        monkeypatch, predicting, "class_head", lambda: predicting.with_predictor(fit, grey)
    )
    np.testing.assert_array_equal(features, np.asarray(fit.encode(drawn), np.float64))
    _, rows, *_ = _given(
        monkeypatch, predicting, "stacked_head", lambda: predicting.with_predictor(told, grey)
    )
    np.testing.assert_array_equal(rows[0].x, drawn.x)
    _, rows = _given(
        monkeypatch, refitting, "features_of",
        lambda: refitting.refit_prior(fit, grey, prior="vamp:5", steps=1),
    )  # fmt: skip
    np.testing.assert_array_equal(rows.x, drawn.x)


def test_commands_on_training_rows_take_them_as_drawn(run):
    drawn = load_data(str(run / "grey.npy"), binarize="static", seed=3)
    fitted = open_run(run / "run")
    for split, wanted in (("train", drawn.train), ("test", drawn.test)):
        rows = rows_of(fitted, data=None, split=split)
        np.testing.assert_array_equal(rows.x, wanted.x)
