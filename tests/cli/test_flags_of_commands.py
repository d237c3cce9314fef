"""Every flag of the commands that work on a run arrives at the function that they call.

The functions are recorders: what they are given is compared with what was typed, rows by their values.
"""

import contextlib
import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from flags_of_commands import BASES, FLAGS, OTHERWISE

import taut
from taut.cli.main import COMMANDS, main
from taut.fitted import Fit
from taut.fitted.imputing import Imputed
from taut.fitted.prediction import NumberPrediction
from taut.runs import KeptRows

CASES = [(command, flag) for command, flags in FLAGS.items() for flag in flags]
ROWS = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)
OTHER = np.random.default_rng(4).normal(size=(6, 3)).astype(np.float32)
Call = Callable[..., dict[str, Any]]


class Called(Exception):
    """The recorder was reached, and has nothing to give back."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on rows that have a name."""
    folder = tmp_path_factory.mktemp("flags")
    np.save(folder / "rows.npy", ROWS)
    np.save(folder / "other.npy", OTHER)
    model = taut.VAE(latent_dim=2, hidden=(4,))
    taut.fit(
        str(folder / "rows.npy"), model=model, epochs=1, evidence_particles=2, out=folder / "run"
    )
    return folder / "run"


@pytest.fixture
def call(run, tmp_path, monkeypatch) -> Call:
    """A command line -> what was called with it."""
    found: dict[str, Any] = {}

    def array(rows: Any) -> np.ndarray:
        return np.asarray(rows.x if hasattr(rows, "x") else rows)

    def evaluate(self: Any, rows: Any, **given: Any) -> Any:
        found.update(given, rows=array(rows))
        raise Called

    def bracket(self: Any, rows: Any, **given: Any) -> Any:
        evaluate(self, rows, method=None, **given)

    def sample(self: Any, count: int, **given: Any) -> np.ndarray:
        found.update(given, count=count)
        return np.zeros((count, 3))

    def reconstruct(self: Any, rows: Any) -> np.ndarray:
        found["rows"] = array(rows)
        return np.zeros_like(found["rows"])

    def impute(self: Any, rows: Any, *, draws: int, **given: Any) -> Imputed:
        found.update(given, draws=draws, rows=array(rows))
        x = np.zeros_like(found["rows"])
        found["values"] = np.empty(0)
        return Imputed(x, x, x, np.zeros((draws, *x.shape)))

    def recorded(self: Imputed, rows: Any) -> Imputed:
        found["values"] = array(rows)
        return self

    def score(fit: Any, rows: Any, *, held_out: Any, **given: Any) -> Any:
        found.update(given, rows=array(rows))
        raise Called

    def fidelity(fit: Any, data: Any, *, held_out: Any, **given: Any) -> Any:
        found.update(given, rows=array(data.test if held_out is None else held_out))
        raise Called

    def predict(fit: Any, rows: Any, **given: Any) -> NumberPrediction:
        found.update(given, rows=array(rows), unseen="refuse", predicted=given)
        zeros = np.zeros(len(found["rows"]))
        return NumberPrediction("y", zeros, zeros, zeros, zeros)

    def prediction_scores(fit: Any, rows: Any, predicted: Any, **given: Any) -> Any:
        assert given == found["predicted"]
        assert np.array_equal(array(rows), found["rows"])
        assert len(predicted.mean) == len(found["rows"])
        raise Called

    def more_rows(fit: Any, data: str, *, unseen: str, unseen_classes: str) -> Any:
        assert unseen_classes == unseen  # predictions are compared with the classes that rows have
        found.update(unseen=unseen)
        raise Called

    def encode(self: Any, rows: Any) -> np.ndarray:
        found["rows"] = array(rows)
        return np.zeros((len(found["rows"]), 2))

    def interpolate(self: Any, *ends: Any, num_steps: int = 10) -> np.ndarray:
        found.update(ends=np.stack(ends), num_steps=num_steps)
        return np.zeros((num_steps, 3))

    def bench(
        pair: Any, rows: Any, bound: Any, *, estimators: Any, key: Any, num_repeats: int
    ) -> Any:
        import jax

        found.update(
            rows=array(rows), bound=bound.name, minted=bound.minted, num_repeats=num_repeats
        )
        found.update(
            kl=getattr(bound, "kl", None), estimators=None if estimators is None else [*estimators]
        )
        found["seed"] = int(jax.random.key_data(key)[-1])
        raise Called

    def audit(fit: Any, data: Any, *, held_out: Any, rows: int, key: int, **more: Any) -> Any:
        found.update(rows=array(data.test if held_out is None else held_out), count=rows, key=key)
        found["tried"] = more.pop("try_remedies")
        assert not more
        raise Called

    def search(
        fit: Any, rows: Any, *, classifier: Any, target: Any, plausible: Any, **given: Any
    ) -> Any:
        found.update(given, rows=array(rows), floor=None if plausible is None else array(plausible))
        found["confidence"] = target.confidence
        raise Called

    def calibrate(fit: Any, *, rows: int, **given: Any) -> Any:
        found.update(given, count=rows)
        raise Called

    def refit_prior(fitted: Any, data: Any, *, out: Path, **given: Any) -> Any:
        found.update(given, folder=out.name)
        raise Called

    def run_fit(source: str, recipe: Any, *_: Any, **__: Any) -> None:
        found.update(recipe.evidence.to_dict())

    def kept(folder: Path, *, of: str, fingerprint: str) -> KeptRows:
        found.update(fingerprint=fingerprint)
        return KeptRows(folder, of=of, fingerprint=fingerprint)

    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    (stopped / "summary.json").unlink()
    monkeypatch.setattr("taut.cli.fit.run_fit", run_fit)
    monkeypatch.setattr("taut.runs.KeptRows", kept)
    for function in (evaluate, bracket, sample, reconstruct, impute, encode, interpolate):
        monkeypatch.setattr(Fit, function.__name__, function)
    monkeypatch.setattr(Imputed, "recorded", recorded)
    monkeypatch.setattr("taut.audit.gradient_bench", bench)
    monkeypatch.setattr("taut.fitted.predicting.predict", predict)
    monkeypatch.setattr("taut.fitted.predicting.prediction_scores", prediction_scores)
    monkeypatch.setattr("taut.cli.predict.all_rows", more_rows)
    monkeypatch.setattr("taut.api.auditing.audit", audit)
    monkeypatch.setattr("taut.fitted.scoring.score", score)
    monkeypatch.setattr("taut.api.likening.fidelity", fidelity)
    monkeypatch.setattr("taut.api.calibrating.calibrate", calibrate)
    monkeypatch.setattr("taut.api.refitting.refit_prior", refit_prior)
    monkeypatch.setattr("taut.counterfactuals.search", search)
    judges = tmp_path / "judges.py"
    judges.write_text("def model(x):\n    return x\n")
    names = {
        "CLASSIFIER": judges,
        "RUN": run,
        "STOPPED": stopped,
        "OTHER": run.parent / "other.npy",
        "OUT": tmp_path / "out.npy",
        "TABLE": tmp_path / "out.csv",
    }

    def record(command: str, *words: str) -> dict[str, Any]:
        found.clear()
        typed = [str(names.get(word, word)) for word in (*BASES[command], *words)]
        with contextlib.suppress(Called):
            found["code"] = main([command, *typed])
        return {**found, "out": (tmp_path / "out.npy").is_file()}

    return record


@pytest.fixture(scope="module")
def rows(run) -> dict[str, np.ndarray]:
    data = taut.load_data(str(run.parent / "rows.npy"))
    return {
        "train": data.train.x, "validation": data.validation.x, "test": data.test.x,
        "first two": data.test.x[:2], "other": OTHER,
    }  # fmt: skip


def _of(command: str) -> Any:
    module, _, name = COMMANDS[command][0].partition(":")
    return getattr(__import__(module, fromlist=[name]), name)


def test_no_command_and_no_flag_is_left_out():
    others = {"fit", "em", "infer", "completion"}  # made of options; of no run
    assert set(FLAGS) == set(BASES) == set(COMMANDS) - others
    for command, flags in FLAGS.items():
        keywords = inspect.signature(_of(command)).parameters.values()
        named = {p.name for p in keywords if p.kind is p.KEYWORD_ONLY}
        assert named == {*flags, *OTHERWISE.get(command, ()), "json"}, command


def _seen(found: dict[str, Any], wanted: dict[str, Any], rows: dict[str, np.ndarray]) -> bool:
    """Whether a record holds what was typed."""
    for name, value in wanted.items():
        if name in ("rows", "floor", "values"):
            if not np.array_equal(found[name], rows[value]):
                return False
        elif name == "ends":
            if not np.array_equal(found["ends"], rows[value][[1, 3]]):
                return False
        elif found[name] != value:
            return False
    return True


@pytest.mark.parametrize(("command", "flag"), CASES, ids=[f"{c}-{f}" for c, f in CASES])
def test_a_flag_arrives(command, flag, call, rows):
    words, wanted = FLAGS[command][flag]
    assert not _seen(call(command), wanted, rows)  # by default it has another value
    assert _seen(call(command, *words), wanted, rows)


# Commands that keep numbers of rows until they end -> their flags that change none of these.
GO_ON = {
    "evaluate": {"precision_nats", "seconds"},  # which methods are run
    "audit": {"try_remedies"},
    "calibrate": set(),
}


@pytest.mark.parametrize(("command", "flag"), [case for case in CASES if case[0] in GO_ON])
def test_numbers_are_gone_on_from_if_nothing_else_is_asked(command, flag, call):
    words, _ = FLAGS[command][flag]
    before, after = call(command)["fingerprint"], call(command, *words)["fingerprint"]
    assert (before == after) == (flag in GO_ON[command])


def test_rows_are_those_of_the_test_part_where_none_are_named(call, rows):
    for command in ("evaluate", "encode", "reconstruct", "gradients"):
        assert np.array_equal(call(command)["rows"], rows["test"]), command
    assert np.array_equal(
        call("interpolate")["ends"], ROWS[[1, 3]]
    )  # by their numbers, of any part
    assert np.array_equal(call("encode", "OTHER")["rows"], OTHER)


@pytest.mark.parametrize("command", ["encode", "reconstruct", "impute"])
def test_rows_of_a_table_go_by_their_numbers_in_the_data(command, call, run, tmp_path):
    many = ("--num-rows", "99") if command == "reconstruct" else ()
    call(command, "--split", "train", "--out", "TABLE", *many)
    found = pl.read_csv(tmp_path / "out.csv")["row"].to_list()
    assert found == taut.load_data(str(run.parent / "rows.npy")).train.index.tolist()


@pytest.mark.parametrize("command", ["sample", "reconstruct", "encode", "interpolate"])
def test_json_names_what_was_written(command, call, tmp_path, capsys):
    call(command, "--out", "OUT", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["out"] == str(tmp_path / "out.npy")
    assert found["count"] == len(np.load(found["out"]))


@pytest.mark.parametrize("command", ["show", "compare"])
def test_json_holds_the_numbers_of_the_run(command, call, run, capsys):
    call(command, "--json")
    printed = json.loads(capsys.readouterr().out)
    summary = json.loads((run / "summary.json").read_text())
    if command == "compare":
        assert {e["value"] for e in printed["differences"].values()} == {0.0}
        assert set(printed["differences"]) <= set(summary["estimates"])
        return
    assert printed["estimates"] == summary["estimates"]
    assert printed["facts"] == summary["facts"]


def test_a_flag_that_is_dropped_is_caught(call, rows, monkeypatch):
    """The law, given a `bracket` that forgets its seed and a `reconstruct` of other rows."""
    recorded = Fit.bracket
    monkeypatch.setattr(Fit, "bracket", lambda s, r, *, key, **k: recorded(s, r, key=0, **k))
    with pytest.raises(AssertionError):
        test_a_flag_arrives("evaluate", "seed", call, rows)
    monkeypatch.setattr("taut.cli.explore.rows_of", lambda *_, **__: taut.load_data(ROWS).test)
    with pytest.raises(AssertionError):
        test_a_flag_arrives("reconstruct", "split", call, rows)
