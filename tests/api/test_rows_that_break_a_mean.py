"""One cell that is a million, in validation or test rows: it rules no number in silence."""

import json

import numpy as np
import pytest

import taut
from taut.cli.main import main
from taut.core import Estimate

RNG = np.random.default_rng(0)
OPTIONS = {"latent_dim": 1, "hidden": (16,), "epochs": 30, "evidence_particles": 50}
FLAGS = ["--latent-dim", "1", "--hidden", "16", "--epochs", "30", "--evidence-particles", "50"]
LOADINGS = np.array([[1.0, 2.0, -1.0]])
ROWS = {
    part: RNG.normal(size=(count, 1)) @ LOADINGS + 0.5 * RNG.normal(size=(count, 3))
    for part, count in (("train", 400), ("valid", 50), ("test", 30))
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The parts as files, and each with one cell that is a million."""
    folder = tmp_path_factory.mktemp("rows")
    for part, rows in ROWS.items():
        np.save(folder / f"{part}.npy", rows)
        far = rows.copy()
        far[3, 1] = 1e6
        np.save(folder / f"{part}-far.npy", far)
    return folder


def _source(files, *, far=""):
    return ",".join(
        str(files / f"{part}{'-far' * (part == far)}.npy") for part in ("train", "valid", "test")
    )


@pytest.fixture(scope="module")
def usual(files):
    return taut.fit(_source(files), **OPTIONS)


@pytest.fixture(scope="module")
def far_test(files):
    return taut.fit(_source(files, far="test"), out=files / "run", **OPTIONS)


def test_validation_goes_on_without_the_row(files, usual):
    """The other 49 rows choose what the 50 choose without the slip, up to what one row does."""
    found = taut.fit(_source(files, far="valid"), **OPTIONS)
    assert any("row 403" in note for note in found.facts.notes)
    assert found.facts.best_step > 0
    assert found.estimates["log_evidence"].value == pytest.approx(
        usual.estimates["log_evidence"].value, abs=0.05
    )
    judged = [Estimate.from_dict(r["validation"]) for r in found.history if "validation" in r]
    assert {e.count for e in judged} == {49}
    assert all(np.isfinite(e.value) for e in judged)
    assert not any("validation looks" in note for note in usual.facts.notes)


def test_validation_that_never_is_finite_keeps_the_last_step_and_says_so(files):
    """Here no validation row can be valued: the untrained start must not be the answer."""
    far = np.full((12, 3), 1e30)
    np.save(files / "hopeless.npy", far)
    found = taut.fit(f"{files}/train.npy,{files}/hopeless.npy,{files}/test.npy", **OPTIONS)
    assert found.facts.best_step == found.facts.steps
    assert found.facts.ended == "not finite"
    assert any("never was finite" in note for note in found.facts.notes)
    assert found.estimates["log_evidence"].value > found.estimates["independent_columns"].value


def test_the_test_row_is_named_beside_the_mean_of_the_others(far_test, usual):
    """The others are the usual rows but one, and the fit is the same."""
    for name, estimate in far_test.estimates.items():
        assert estimate.flags & {"not finite", "moved by few rows"}, name
        found = far_test.far_rows[name]
        assert found.rows == (453,)
        others = np.delete(usual.estimates[name].values, 3)
        assert found.others.value == pytest.approx(others.mean(), rel=1e-4)
    assert not usual.far_rows


def test_the_run_folder_and_the_terminal_name_it_too(far_test, files, capsys):
    summary = json.loads((files / "run" / "summary.json").read_text())
    assert summary["far_rows"]["log_evidence"]["rows"] == [453]
    assert taut.load(files / "run").far_rows.keys() == far_test.far_rows.keys()
    assert main(["show", str(files / "run")]) == 0
    assert "row 453 (" in capsys.readouterr().out
    quick = ["evaluate", str(files / "run"), "--num-particles", "50", "--seconds", "0.1"]
    assert main([*quick, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["importance"]["far_rows"]["log_evidence"]["rows"] == [453]
    assert main(quick) == 0
    assert "row 453 (" in capsys.readouterr().out


def test_exact_models_name_it_as_well(files):
    found = taut.em(_source(files, far="test"), model=taut.FA(components=1))
    assert found.far_rows["log_evidence"].rows == (453,)
    assert found.estimates["log_evidence"].flags == {"moved by few rows"}
