"""`taut audit` as a user drives it, and `fit.audit` beside it."""

import html
import io
import json

import numpy as np
import pytest
from rich.console import Console

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.report.audit import audit_page
from taut.report.html.report import report_text
from taut.report.html.reported import reported
from taut.runs import KeptRows
from taut.runs.own_files import own_files

QUICK = ["--hidden", "16", "--latent-dim", "3", "--epochs", "2", "--evidence-particles", "30"]
FEW = ["--rows", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run on the digits."""
    folder = tmp_path_factory.mktemp("audit") / "run"
    assert main(["fit", "digits", "--out", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture(scope="module")
def page(run):
    return taut.load(run).audit(rows=20)


def test_an_audit_that_is_interrupted_goes_on_to_the_same_numbers(run, page, monkeypatch, capsys):
    made, stop, blocks = KeptRows.made, 4, []

    def counted(self, call, columns):
        blocks.append(call)
        made(self, call, columns)
        if len(blocks) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptRows, "made", counted)
    assert main(["audit", str(run), *FEW]) == 130
    assert f"interrupted; `taut audit {run} --rows 20` goes on" in capsys.readouterr().err
    assert main(["audit", str(run), *FEW, "--json"]) == 0
    assert len(blocks) > stop
    assert not set(blocks[:stop]) & set(blocks[stop:])  # what was done is not made again
    found = json.loads(capsys.readouterr().out)
    alone = json.loads(json.dumps(page.to_dict(door="command line")))
    assert {name: found[name] for name in alone} == alone
    assert not list((run / "checkpoints").glob("audit-*"))


def test_the_page_the_json_and_the_figures(run, page, monkeypatch, capsys):
    monkeypatch.setattr("taut.api.auditing.audit", lambda *_, **__: page)
    assert main(["audit", str(run), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    gap, parts = found["gaps"]["held_out"], found["surgery"]
    total = gap["amortization"]["value"] + gap["approximation"]["value"]
    assert abs(gap["total"]["value"] - total) < 5 * gap["total"]["mc_error"]
    elbo = parts["reconstruction"]["value"] - parts["mutual_information"]["value"]
    np.testing.assert_allclose(parts["elbo"]["value"], elbo - parts["marginal_kl"]["value"])
    assert parts["log_n"] == pytest.approx(np.log(1437))
    assert found["latents"]["dimensions"] == 3
    names = {"audit.json", "figures/gaps.png", "figures/latent_kls.png", "figures/overlap.png"}
    assert {str(run / name) for name in names} == set(found["files"])
    assert all((run / name).stat().st_size for name in names)
    assert {run / name for name in names} <= set(own_files(run))  # another run does not keep them
    kept = json.loads((run / "audit.json").read_text())
    assert kept == {name: value for name, value in found.items() if name != "files"}
    report = html.unescape(report_text([reported(run)]))
    assert all(finding["says"] in report for finding in found["findings"])
    assert "held-out: encoder (amortization)" in report


def test_the_page_ends_in_a_verdict_in_the_words_of_its_door(run, page, monkeypatch, capsys):
    monkeypatch.setattr("taut.api.auditing.audit", lambda *_, **__: page)
    assert main(["audit", str(run), *FEW]) == 0
    shown = capsys.readouterr().out
    assert "evidence - ELBO" in shown
    assert "largest: " in shown[shown.index("\nverdict") :]
    assert "Try --" in shown
    assert "Try `" not in shown


def test_the_page_is_one_screen_wide_and_a_notebook_shows_the_same(page):
    shown = html.unescape(page._repr_html_())
    assert len(shown) < 12_000
    assert all(finding.says in shown for finding in page.findings)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    audit_page(console, page)
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert len(lines) < 70


def test_other_held_out_rows(run):
    data = taut.load_data("digits")
    other = taut.load(run).audit(data, held_out=data.test.x[:30], rows=20)
    assert other.held_out.total.count == 20


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--rows", "1"],
            "rows: expected at least two rows, between which z can tell, got 1. Try 500.",
        ),
        (["--data", "nowhere.csv"], "nowhere.csv: expected "),
    ],
)
def test_one_line_for_what_cannot_be_audited(run, capsys, options, line):
    assert main(["audit", str(run), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"taut: {line}")
    assert len(err.strip().splitlines()) == 1


def test_no_held_out_rows_are_named(run):
    fit = taut.load(run)
    rows = taut.load_data("digits").train.x
    with pytest.raises(InputError, match="expected held-out rows beside the training rows"):
        fit.audit(rows)
    with pytest.raises(InputError, match="expected at least two held-out rows, got 1"):
        fit.audit(rows, held_out=rows[:1])


def test_fewer_training_rows_than_latents_are_too_few(run):
    rows = taut.load_data("digits").train.x
    with pytest.raises(InputError, match=r"expected at least as many.*got 2 rows and 3 dimensions"):
        taut.load(run).audit(rows[:2], held_out=rows[:20])
