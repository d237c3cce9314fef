"""The numbers that the terminal prints are those that summary.json and metrics.jsonl hold."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taut
from taut.cli import output
from taut.cli.main import main
from taut.core import Estimate
from taut.report.words import fact_words

FITS = {
    "fit": ["--model", "ppca", "--inference", "joint", "--epochs", "6", "--validate-every", "2",
            "--batch-size", "20", "--split", "0.6,0.15,0.25"],
    "em": ["--model", "ppca", "--components", "1-2", "--split", "0.6,0.15,0.25"],
}  # fmt: skip


def _printed(*words: str) -> str:
    """What a command prints on standard output, in lines of any length."""
    out = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "400"
    try:
        with contextlib.redirect_stdout(out):
            assert main(list(words)) == 0
    finally:
        os.environ.pop("COLUMNS")
        os.environ |= {} if before is None else {"COLUMNS": before}
    return out.getvalue()


@pytest.fixture(scope="module", params=FITS)
def made(request, tmp_path_factory) -> tuple[Path, dict[str, Any], str]:
    """A run folder, what its command printed as JSON, and what it printed as text, run again."""
    folder = tmp_path_factory.mktemp(request.param)
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.save(folder / "rows.npy", rows)
    words = [
        request.param,
        str(folder / "rows.npy"),
        *FITS[request.param],
        "--out",
        str(folder / "run"),
    ]
    before: list[str] = []

    def drawn(*_: Any) -> tuple[()]:  # other tests look at the figures
        assert isinstance(sys.stdout, io.StringIO)
        before.append(sys.stdout.getvalue())
        return ()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_fit", "draw_em"):
            patch.setattr(f"taut.report.{name}.{name}", drawn)
        text, as_json = _printed(*words), _printed(*words, "--json", "--force")
    assert before == [text, as_json]  # nobody waits for figures
    return folder / "run", json.loads(as_json), text


def _summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def test_json_is_the_summary(made):
    run, printed, _ = made
    summary = _summary(run)
    assert printed["run"] == str(run)
    assert printed["estimates"] == summary["estimates"]
    assert printed["facts"] == summary["facts"]
    fit = taut.load(run)
    assert {n: e.to_dict() for n, e in fit.estimates.items()} == summary["estimates"]
    assert fit.facts.to_dict() == summary["facts"]


def test_text_holds_the_same_numbers(made):
    run, _, text = made
    for shown in (text, _printed("show", str(run))):
        lines = [line for line in shown.splitlines() if line.strip()]
        for content in _summary(run)["estimates"].values():
            value, _, rows = Estimate.from_dict(content).rounded()
            assert any(value in line and rows in line and "exact" in line for line in lines)
        facts = taut.load(run).facts
        words = fact_words(facts)
        words = {n: w for n, w in words.items() if "seconds" not in n}  # the second run has its own
        for name, word in words.items():
            assert any(name in line and word in line for line in lines), name
        assert ("BIC" in shown) == (facts.em is not None)


def test_words_of_the_facts_hold_their_numbers(made):
    facts = taut.load(made[0]).facts
    words = fact_words(facts)
    for number in (facts.rows.train, facts.rows.validation, facts.rows.test):
        assert f"{number} " in f"{words['rows']} "
    if facts.em is None:
        assert words["best step"] == f"{facts.best_step}"
        assert words["steps"] == f"{facts.steps}"
        return
    assert any(word == f"{round(facts.em.bic, 3)}" for word in words.values())
    assert any(f"{facts.em.components}" in word for name, word in words.items() if "comp" in name)


def test_every_step_has_a_line_of_metrics(made):
    run, printed, _ = made
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    fit = taut.load(run)
    assert [dict(record) for record in fit.history] == records
    assert [record["step"] for record in records] == list(range(len(records)))
    looks = [r for r in records if "validation" in r]
    if printed["facts"]["em"] is not None:
        assert not looks
        assert len(records) == printed["facts"]["steps"] + 1  # the start is one
        return
    assert len(records) == printed["facts"]["steps"]
    best = max(looks, key=lambda r: r["validation"]["value"])
    assert best["step"] + 1 == printed["facts"]["best_step"]


def test_rows_of_the_summary_are_the_rows_of_the_data(made):
    run, printed, _ = made
    data = taut.load_data(str(run.parent / "rows.npy"), split=(0.6, 0.15, 0.25))
    rows = printed["facts"]["rows"]
    assert (rows["train"], rows["validation"], rows["test"]) == tuple(
        len(part) for part in (data.train, data.validation, data.test)
    )
    fit = taut.load(run)
    for estimate in fit.estimates.values():
        np.testing.assert_array_equal(estimate.index, data.test.index)
        assert estimate.values is not None
        assert estimate.value == pytest.approx(estimate.values.mean(), rel=1e-12)
        assert estimate.count == len(data.test)


def test_figures_are_drawn_where_the_reader_of_the_numbers_has_gone(monkeypatch, tmp_path):
    def gone(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    drawn: list[Path] = []
    monkeypatch.setattr(output, "_print_fit", gone)
    monkeypatch.setattr("taut.report.draw_fit.draw_fit", lambda *given: drawn.append(given[2]))
    nothing: Any = None
    with pytest.raises(BrokenPipeError):
        output.finish_fit(nothing, nothing, tmp_path, json=False)
    assert drawn == [tmp_path / "figures"]
