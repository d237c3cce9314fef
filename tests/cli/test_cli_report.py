"""`taut report` as a user drives it, and `fit.report` beside it."""

import json
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from undrawn_figures import without_figures

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.report.html.report import report_text
from taut.report.html.reported import reported
from taut.report.numbers import cells
from taut.runs.own_files import own_files

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from pages import Page

EVIL = "<script>alert('x')</script> & \"q\""
QUICK = ["--hidden", "8", "--latent-dim", "2", "--epochs", "2", "--evidence-particles", "20"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with runs on one table: two fits, EM over a range, a posterior, one not finished."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 120)
    rows = {
        EVIL: rng.normal(3.0 * kind),
        "b": rng.normal(size=120),
        "kind": np.take(["p", "<q>"], kind),
    }
    pl.DataFrame(rows).write_csv(folder / "t.csv")
    source = str(folder / "t.csv")
    with without_figures():  # a page draws its own
        for name, seed in (("one", "0"), ("two", "1")):
            asked = ["fit", source, "--label", "kind", "--seed", seed, *QUICK]
            assert main([*asked, "--out", str(folder / name)]) == 0
        asked = ["em", source, "--drop", "kind", "--components", "1,2", "--out", str(folder / "em")]
        assert main(asked) == 0
    taut.infer(lambda p: -((p["a"] - 1.0) ** 2) / 2, support={"a": "real"}, guide="laplace").save(
        folder / "post"
    )
    part = folder / "part"
    part.mkdir()
    for name in ("config.toml", "metrics.jsonl"):
        (part / name).write_bytes((folder / "one" / name).read_bytes())
    return folder


def page_of(*runs, rows_of=None):
    return Page(report_text([reported(run, rows_of=rows_of) for run in runs]))


def test_the_file_holds_every_number_with_side_and_errors(place, capsys):
    assert main(["report", str(place / "one")]) == 0
    path = place / "one" / "report.html"
    assert capsys.readouterr().out.strip() == str(path)
    found, fit = Page(path.read_text()), taut.load(place / "one")
    for name, words in (("elbo", "held-out ELBO"), ("log_evidence", "log-evidence")):
        assert found.row(words)[1:] == [*cells(fit.estimates[name])]
    assert "script" not in found.tags
    assert EVIL in found.text
    assert "<q>" in found.text  # a class, in the key of the latents
    assert "coloured by kind" in found.text
    assert f"{EVIL}: samples (line) and data (grey)" in found.text
    assert "--config" in found.text
    assert path in own_files(place / "one")  # another run does not keep it


def test_the_page_asks_for_nothing(place):
    text = report_text([reported(place / "one")])
    found = Page(text)
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert all(link.startswith("#") for link in found.links)
    assert "//" not in text.replace("http://www.w3.org", "")
    assert len(text) < 1_000_000


def test_a_wrapped_model_of_images_is_reported_with_its_images(tmp_path):
    x = (np.random.default_rng(0).uniform(size=(60, 4, 4)) > 0.5).astype(np.float32)
    data = taut.load_data(x)
    fit = taut.wrap_model(
        data, encode=lambda x: (x[0, :2], jnp.ones(2)), decode=lambda z: jnp.tile(z[0], (4, 4)),
        likelihood="bernoulli",
    )  # fmt: skip
    found = Page(fit.report(tmp_path / "images.html", data=data).read_text())
    assert len(found.sources) == 2  # samples and reconstructions
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "the model was trained elsewhere." in found.text
    assert "Codes of 6 rows in 2 dimensions" in found.text


def test_several_runs_stand_side_by_side_with_paired_differences(place, capsys):
    out = place / "both.html"
    runs = [str(place / "one"), str(place / "two")]
    assert main(["report", *runs, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"runs": runs, "report": str(out)}
    found = Page(out.read_text())
    expected = taut.compare(place / "two", place / "one")["elbo"]
    rows = [cells for cells in found.rows if cells and cells[0].strip() == "held-out ELBO"]
    assert rows[0][1:] == [str(taut.load(run).estimates["elbo"]) for run in runs]
    assert rows[1][1:4] == [*cells(expected)][:3]
    assert f"{runs[1]} less {runs[0]}" in found.text


def test_runs_that_cannot_be_compared_are_told_so(place):
    found = page_of(place / "one", place / "post", place / "part")
    assert "less" in found.text
    assert found.text.count("not known") == 2


def test_em_shows_the_curve_that_it_chose_by(place):
    found = page_of(place / "em")
    assert "Log-evidence by the number of components" in found.text
    assert found.row("columns alone")[-1] == "exact"


def test_a_posterior_is_reported_without_its_program(place):
    found = page_of(place / "post")
    assert found.row("a")[1].startswith("1.0")
    assert "weighted draws" in found.text
    assert "Posterior of" in found.text


def test_a_posterior_in_memory_is_reported_alike(place, tmp_path):
    def target(p):
        return -((p["a"] - 1.0) ** 2) / 2

    fitted = taut.infer(target, support={"a": "real"}, guide="laplace")
    found = Page(fitted.report(tmp_path / "p.html").read_text())
    assert found.row("a") == page_of(place / "post").row("a")


def test_a_run_that_is_not_finished_says_so(place, capsys):
    assert main(["report", str(place / "part")]) == 0
    found = Page((place / "part" / "report.html").read_text())
    steps = len((place / "part" / "metrics.jsonl").read_text().splitlines())
    assert f"This run is not finished: it has {steps} steps so far." in found.text
    assert "Nats per row after each step" in found.text


def test_a_run_whose_rows_are_gone_keeps_its_numbers(place, tmp_path):
    def gone(fit):
        raise InputError("a file", "none", "another", where="t.csv")

    found = page_of(place / "one", rows_of=gone)
    assert "There are no pictures of rows: t.csv: expected a file, got none." in found.text
    assert found.row("held-out ELBO")


def test_a_file_of_another_form_is_told_and_the_rest_stands(place):
    (place / "two" / "audit.json").write_text('{"findings": [3]}')
    found = page_of(place / "two")
    assert "the audit.json that taut wrote" in found.text
    assert found.row("held-out ELBO")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "taut: report: expected RUN, got none."),
        (["nowhere"], "taut: nowhere: expected a run folder, got nothing there."),
        (["one", "."], "taut: .: expected a run folder, got a folder without config.toml."),
        (["one", "--out", "x.pdf"], "taut: out: expected a file ending in .html"),
        (["one", "--out", "no/x.html"], "taut: out: expected a folder that exists"),
    ],
)
def test_bad_input_is_one_line(place, monkeypatch, capsys, asked, said):
    monkeypatch.chdir(place)
    assert main(["report", *asked]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_rows_that_have_changed_are_not_taken_for_those_of_the_fit(tmp_path):
    path = tmp_path / "x.csv"
    rows = np.random.default_rng(0).normal(size=(40, 2))

    def said() -> str:
        return Page(fit.report(tmp_path / "x.html").read_text()).text

    pl.DataFrame(rows, ["a", "b"]).write_csv(path)
    fit = taut.em(str(path), model="ppca", components=1)
    assert "no pictures" not in said()
    pl.DataFrame(rows[::-1] * 2, ["a", "b"]).write_csv(path)
    assert f"There are no pictures of rows: {path} has changed since the fit." in said()
    path.unlink()
    gone = said()
    assert "There are no pictures of rows" in gone
    assert "has changed" not in gone


def test_python_refuses_a_folder_for_the_file(place):
    with pytest.raises(InputError, match="expected a file, got a folder"):
        taut.load(place / "one").report(place)
