"""`taut audit` as a user drives it, and `fit.audit` beside it."""

import html
import io
import json
import shlex
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import taut
from taut.api.refitting import Refitted
from taut.api.trying import tried
from taut.audit import Finding
from taut.cli.main import main
from taut.core import Estimate, InputError
from taut.report.audit import audit_page
from taut.report.html.report import report_text
from taut.report.html.reported import reported
from taut.runs import KeptRows
from taut.runs.own_files import own_files

QUICK = ["--hidden", "8", "--latent-dim", "3", "--epochs", "2", "--evidence-particles", "30"]
FEW = ["--rows", "8"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A file of two clusters."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("audit") / "rows.npy"
    np.save(path, 4 * rng.integers(0, 2, (150, 1)) + rng.normal(size=(150, 4)))
    return path


@pytest.fixture(scope="module")
def run(rows):
    """A small finished run."""
    folder = rows.parent / "run"
    assert main(["fit", str(rows), "--out", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture(scope="module")
def page(run):
    return taut.load(run).audit(rows=8, try_remedies=True)


GAINS = {
    name: Estimate(value, "unbiased", mc_error=0.3, data_error=0.4, count=180)
    for name, value in (("elbo", 1.5), ("log_evidence", 1.25))
}


@pytest.fixture(scope="module", autouse=True)
def refits():
    """Another prior costs more than all else here, and has tests of its own."""
    asked = []

    def refit(fit, data, *, prior, key):
        asked.append((data.checksum, prior))
        return Refitted(fit, GAINS, kept=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taut.api.trying.refit_prior", refit)
        yield asked


def test_an_audit_that_is_interrupted_goes_on_to_the_same_numbers(run, page, monkeypatch, capsys):
    made, stop, blocks = KeptRows.made, 4, []

    def counted(self, call, columns):
        blocks.append(call)
        made(self, call, columns)
        if len(blocks) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptRows, "made", counted)
    asked = ["audit", str(run), *FEW, "--try"]
    assert main(asked) == 130
    assert f"interrupted; `taut {shlex.join(asked)}` goes on" in capsys.readouterr().err
    assert main([*asked, "--json"]) == 0
    assert len(blocks) > stop
    assert not set(blocks[:stop]) & set(blocks[stop:])  # what was done is not made again
    found = json.loads(capsys.readouterr().out)
    alone = json.loads(json.dumps(page.to_dict(door="command line")))
    assert {name: found[name] for name in alone} == alone
    assert not list((run / "checkpoints").glob("audit-*"))


def test_what_is_tried_is_told_with_its_gains(run, page, refits):
    trials = {trial.name: trial for trial in page.trials}
    assert set(trials) == {"prior", "amortization"}  # the family's remedy is the encoder's
    gain = trials["amortization"].gains["log_evidence"]
    assert gain.count == 8
    # Of two guides the better one is higher in expectation; the errors of the encoder's are not known.
    assert -5 * gain.data_error < gain.value < page.held_out.total.value
    assert trials["prior"].gains == GAINS
    assert refits[0] == (taut.load(run).facts.checksum, "mixture:10")
    printed = io.StringIO()
    audit_page(Console(file=printed, width=300), page)
    said = "tried for prior: the prior mixture:10 fitted to the posteriors of training rows, "
    both = "+1.5 nats of ELBO (± 0.5) and +1.25 nats of log-evidence (± 0.5) on held-out rows."
    assert f"{said}{both}" in printed.getvalue()


def test_what_a_gaussian_of_each_row_gains_is_its_own_evidence_less_that_of_the_guide(
    run, monkeypatch
):
    asked: list[Any] = []

    def method(name: str, values: list[float]) -> Any:
        def found(pair: Any, rows: Any, *, key: Any) -> Any:
            of_rows = Estimate.from_rows(values, side="lower", index=rows.index)
            return SimpleNamespace(log_evidence=of_rows)

        return lambda num_particles: asked.append((name, num_particles)) or found

    monkeypatch.setattr("taut.api.trying.Refined", method("fitted", [-1.0, -2.0, -3.0]))
    monkeypatch.setattr("taut.api.trying.Importance", method("guide", [-1.5, -3.0, -4.5]))
    fit = taut.load(run)
    data = fit.recipe.data.load()
    (trial,) = tried(
        fit, (Finding("amortization", "", ""),), data, data.test[:3].datum(),
        key=jax.random.key(0), num_particles=17,
    )  # fmt: skip
    np.testing.assert_allclose(trial.gains["log_evidence"].values, [0.5, 1.0, 1.5])
    assert asked == [("fitted", 17), ("guide", 17)]


def test_what_cannot_be_tried_says_why(run):
    fit = taut.load(run)
    data = fit.recipe.data.load()
    rows, key = data.test.datum(), jax.random.key(0)
    (trial,) = tried(fit, (Finding("prior", "", ""),), data.train, rows, key=key)
    assert not trial.gains
    assert trial.why.startswith("it takes a Data with training, validation and test rows; this")
    assert not tried(fit, (Finding("collapse", "", ""),), data, rows, key=key)


def test_the_page_the_json_and_the_figures(run, page, monkeypatch, capsys):
    monkeypatch.setattr("taut.api.auditing.audit", lambda *_, **__: page)
    assert main(["audit", str(run), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    gap, parts = found["gaps"]["held_out"], found["surgery"]
    total = gap["amortization"]["value"] + gap["approximation"]["value"]
    assert abs(gap["total"]["value"] - total) < 5 * gap["total"]["mc_error"]
    elbo = parts["reconstruction"]["value"] - parts["mutual_information"]["value"]
    np.testing.assert_allclose(parts["elbo"]["value"], elbo - parts["marginal_kl"]["value"])
    assert parts["log_n"] == pytest.approx(np.log(120))
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


def test_a_prior_that_loses_nats_is_not_said_to_be_right(page):
    assert "prior" in {finding.name for finding in page.findings}
    near = replace(page.holes, two_sample=page.holes.two_sample._replace(p_value=0.4))
    for findings, words in (
        (page.findings, "differ by less than a test of draws sees, p = 0.4"),
        ((), "not told apart, p = 0.4"),
    ):
        printed = io.StringIO()
        shown = replace(page, holes=near, findings=findings)
        audit_page(Console(file=printed, width=300), shown)
        assert words in printed.getvalue()


@pytest.mark.parametrize("given", [True, False])
def test_the_rows_of_an_audit_are_named_wherever_it_is_shown(
    run, rows, page, given, monkeypatch, capsys
):
    """A report that is written later must not pass rows of another file for the run's own."""
    other = rows.parent / "other.npy"
    np.save(other, 9 + np.load(rows)[:20])
    monkeypatch.setattr("taut.api.auditing.audit", lambda *_, **__: page)
    assert main(["audit", str(run), *FEW, *(["--data", str(other)] if given else [])]) == 0
    of = str(other) if given else "the run's test rows"
    said = f"8 held-out rows of {of} and 8 training rows"
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in html.unescape(report_text([reported(run)]))


def test_a_report_says_of_an_audit_all_that_its_page_says(page):
    """Both ends of parts that have two, why a gap is not divided, and what was tried."""
    loss = Estimate(np.nan, "unbiased", mc_error=np.nan)
    parts = replace(
        page.surgery,
        mutual_information=replace(page.surgery.mutual_information, side="lower"),
        mutual_information_upper=Estimate(3.125, "upper", mc_error=0.001),
        marginal_kl_lower=Estimate(0.375, "lower", mc_error=0.001),
    )
    shown = replace(
        page,
        surgery=parts,
        held_out=replace(page.held_out, undivided="it takes latents of free numbers"),
        findings=(Finding("constants", "a constant is missing", "keeping it", loss),),
    )
    printed = io.StringIO()
    audit_page(Console(file=printed, width=300), shown)
    for text in (printed.getvalue(), html.unescape(shown._repr_html_())):
        assert all(word in text for word in ("its upper end", "3.125", "its lower end", "0.375"))
        assert "The gap is not divided: it takes latents of free numbers." in text
        assert "ried for prior: the prior mixture:10 fitted to the posteriors" in text
        assert "+1.25 nats of log-evidence (± 0.5) on held-out rows." in text
        assert "nan nats: a constant is missing. Try keeping it." in text


def test_a_notebook_counts_rows_of_either_kind(page):
    more = replace(page, train=replace(page.train, elbo=replace(page.train.elbo, count=11)))
    head = html.unescape(more._repr_html_()).partition("</p>")[0]
    assert "8 held-out rows and 11 training rows" in head


def test_other_held_out_rows(run, rows):
    data = taut.load_data(str(rows))
    other = taut.load(run).audit(data, held_out=data.test.x[:12], rows=8)
    assert other.held_out.total.count == 8


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


def test_no_held_out_rows_are_named(run, rows):
    fit = taut.load(run)
    rows = taut.load_data(str(rows)).train.x
    with pytest.raises(InputError, match="expected held-out rows beside the training rows"):
        fit.audit(rows)
    with pytest.raises(InputError, match="expected at least two held-out rows, got 1"):
        fit.audit(rows, held_out=rows[:1])


def test_fewer_training_rows_than_latents_are_too_few(run, rows):
    rows = taut.load_data(str(rows)).train.x
    with pytest.raises(InputError, match=r"expected at least as many.*got 2 rows and 3 dimensions"):
        taut.load(run).audit(rows[:2], held_out=rows[:8])
