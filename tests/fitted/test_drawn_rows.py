"""Training rows of a dynamic binarization are measured as zeros and ones, drawn once."""

import json
from typing import Any

import numpy as np
import pytest

import taut
from taut.cli.rows import open_run, rows_of
from taut.data import load_data
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


def test_commands_on_training_rows_take_them_as_drawn(run):
    drawn = load_data(str(run / "grey.npy"), binarize="static", seed=3)
    fitted = open_run(run / "run")
    for split, wanted in (("train", drawn.train), ("test", drawn.test)):
        rows = rows_of(fitted, data=None, split=split)
        np.testing.assert_array_equal(rows.x, wanted.x)
