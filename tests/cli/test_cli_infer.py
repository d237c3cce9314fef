"""`taut infer` as a user drives it: what it prints, what it leaves, and what it says when wrong."""

import json
import math
import re
import shutil
import sys
from dataclasses import fields
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from scipy.stats import multivariate_normal

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.inference.posterior import PosteriorOptions
from taut.recipe import ProgramRecipe, batch_sizes
from taut.runs import RunFolder
from taut.runs.own_files import own_files

ROWS = [0.3, 1.9, 1.2, 0.8, 1.5]
PROGRAM = """
import numpyro
from numpyro import distributions as dist


def model(y, **unused):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def other(y):
    model(y)
"""
# Precision 1/4 + 5 and mean sum(y) / that; evidence of the same conjugate pair.
PRECISION = 0.25 + len(ROWS)
MEAN, SD = sum(ROWS) / PRECISION, PRECISION**-0.5
LOG_EVIDENCE = (
    -0.5 * len(ROWS) * np.log(2 * np.pi)
    - 0.5 * np.log(4 * PRECISION)
    - 0.5 * (np.sum(np.square(ROWS)) - sum(ROWS) ** 2 / PRECISION)
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("infer")
    (folder / "normal.py").write_text(PROGRAM)
    (folder / "rows.json").write_text(json.dumps({"y": ROWS, "spare": 3}))
    return folder


DENSITY = """
import jax
import numpyro
from numpyro import distributions as dist

support = {"a": ("real", 1)}


def scalar(p, data):
    return -p["a"]


def loop(p, data):
    return jax.lax.while_loop(lambda s: s < 3.0, lambda s: s + 1.0, p["a"][0])


def det(x):
    return x**2


def beside(y, **others):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""
BAD = """
import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import constraints


def count(y):
    k = numpyro.sample("k", dist.Poisson(2.0))
    numpyro.sample("y", dist.Normal(k, 1.0), obs=y)


def sized(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 4):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def three(y):
    mu = numpyro.sample("mu", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def endless(y):
    a = numpyro.sample("a", dist.ImproperUniform(constraints.real, (), ()))
    b = numpyro.sample("b", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)


def rounded(y):
    mu = numpyro.sample("mu", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(jnp.round(mu), 1.0), obs=y)
"""


@pytest.fixture(scope="module")
def run(files):
    """A finished run, and what it has printed."""
    out = files / "run"
    quick = ["--num-starts", "1", "--num-draws", "4000"]
    program = [f"{files / 'normal.py'}", "--data", f"{files / 'rows.json'}"]
    assert main(["infer", *program, "--out", str(out), *quick]) == 0
    return out


def complaint(capsys, *arguments, code=2):
    """The one line on standard error of a command that must be refused."""
    capsys.readouterr()
    assert main(["infer", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("taut: ")
    return err


def test_a_run_folder_holds_everything(run):
    names = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert names == {
        "config.toml", "coordinates.csv", "draws.safetensors", "metrics.jsonl", "model.json",
        "model.safetensors", "rows.safetensors", "summary.json", "figures/bound.png",
        "figures/khat.png", "figures/pairs.png",
    }  # fmt: skip
    assert names == {str(p.relative_to(run)) for p in own_files(run)}
    structure = json.loads((run / "model.json").read_text())["architecture"]
    assert structure["program"] == "normal.py:model"
    assert [site["name"] for site in structure["sites"]] == ["mu"]


def test_what_it_holds_is_the_posterior(run):
    """The pair is conjugate: mean, sd and evidence are known."""
    summary = json.loads((run / "summary.json").read_text())
    for name in ("elbo", "log_evidence"):
        found = summary["estimates"][name]
        assert abs(found["value"] - LOG_EVIDENCE) < 5 * found["mc_error"] + 1e-3
    assert summary["facts"]["verdict"].startswith("believe: ")
    table = pl.read_csv(run / "coordinates.csv").row(0, named=True)
    assert abs(table["resampled_mean"] - MEAN) < 5 * table["resampled_mean_error"]
    assert abs(table["resampled_sd"] - SD) < 5 * table["resampled_sd_error"]
    draws = load_file(run / "draws.safetensors")
    assert draws["weights"].sum() == pytest.approx(1.0)
    mean = draws["weights"] @ draws["parameters/mu"]
    assert mean == pytest.approx(table["resampled_mean"], abs=1e-12)


def test_show_prints_it_without_running_the_program(run, files, capsys):
    (files / "normal.py").rename(files / "gone.py")
    try:
        assert main(["show", str(run)]) == 0
        shown = capsys.readouterr().out
        assert main(["show", str(run), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
    finally:
        (files / "gone.py").rename(files / "normal.py")
    for words in ("mu", "log-evidence", "believe", "lower bound", "k-hat", "effective draws"):
        assert words in shown
    assert found["facts"]["family"] == "full-rank"
    assert abs(found["coordinates"]["mu"]["resampled_mean"] - MEAN) < 0.1


def test_the_same_seed_gives_the_same_json(run, files, capsys):
    """Another function of the file that calls the first; --force replaces a run."""
    out = files / "again"
    (files / "few.json").write_text(json.dumps({"y": ROWS}))
    command = ["infer", f"{files / 'normal.py'}:other", "--data", str(files / "few.json"), "--json",
               "--out", str(out), "--num-starts", "1", "--num-draws", "4000"]  # fmt: skip
    capsys.readouterr()
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*command, "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["estimates"] == found["estimates"]
    before = json.loads((run / "summary.json").read_text())["estimates"]
    assert found["estimates"] == before
    assert 'program = "' in (out / "config.toml").read_text()


def test_the_commands_of_rows_refuse_a_posterior(run, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    line = capsys.readouterr().err
    assert "expected a model of rows, got the posterior of a program. Try `taut show" in line


@pytest.mark.parametrize("text", ["rows", "rows:", ":5", "rows:0", "rows:-3", "rows:many"])
def test_batch_sizes_are_plate_and_rows(text):
    with pytest.raises(
        InputError, match=r"^subsample: expected PLATE:ROWS, got '.*'\. Try rows:1000"
    ):
        batch_sizes(text)
    assert batch_sizes("rows:1000") == {"rows": 1000}
    assert batch_sizes(None) is None


def test_wrong_input_is_one_line(run, files, capsys):
    program, data = files / "normal.py", ["--data", files / "rows.json"]
    assert "no such file" in complaint(capsys, files / "none.py")
    assert "'model'" in complaint(capsys, f"{program}:modle", *data)
    assert "--force to replace it" in complaint(capsys, program, *data, "--out", run)
    assert "guide: expected" in complaint(capsys, program, *data, "--guide", "fullrank")
    assert "none for y" in complaint(capsys, program)


@pytest.mark.parametrize(
    ("function", "data", "words", "code"),
    [
        ("normal:model", {"y": [0.1, math.nan, 2.0]}, "site 'y': expected data in the support of "
         "their distribution, got nan in row 2", 2),
        ("bad:count", {"y": 1.0}, "site 'k': expected a continuous latent", 2),
        ("bad:sized", {"y": ROWS}, "expected 4 rows in plate 'rows', its declared size, got", 2),
        ("bad:three", {"y": [1.0, 2.0]}, "expected observed 'y' of shape (3,), got (2,)", 2),
        ("bad:rounded", {"y": 1.0}, "changes smoothly with every latent, got a gradient of zero in "
         "'mu'", 2),
        ("bad:endless", {"y": 1.0}, "improper posterior: expected a proper posterior, whose ELBO", 1),
        ("density:scalar", {"y": 1.0}, "expected a real scalar from the log-joint, got shape (1,)", 2),
        ("density:det", {"y": 1.0}, "a log-joint, as there is a support, of parameters and data, or", 2),
        ("density:loop", {"y": 1.0}, "Try jax.lax.scan or a fori_loop with a fixed number of steps", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_inferred_is_one_line(function, data, words, code, files, capsys):
    (files / "bad.py").write_text(BAD)
    (files / "density.py").write_text(DENSITY)
    file, name = function.split(":")
    (files / "bad.json").write_text(json.dumps(data))
    command = [f"{files / file}.py:{name}", "--data", files / "bad.json", "--guide", "laplace"]
    command += ["--out", files / "none"]
    assert words in complaint(capsys, *command, code=code)
    assert not (files / "none").exists()


def test_a_support_is_that_of_a_log_joint_and_not_of_a_program_beside_it(files, capsys):
    (files / "both.py").write_text(DENSITY)
    out, data = files / "beside", files / "rows.json"
    command = ["infer", f"{files / 'both.py'}:beside", "--data", str(data), "--out", str(out)]
    assert main([*command, "--guide", "laplace", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["coordinates"]) == {"mu"}


def test_a_run_that_was_cut_off_is_repeated(run, files, capsys):
    before = json.loads((run / "summary.json").read_text())["estimates"]
    cut = files / "cut"
    shutil.copytree(run, cut)
    (cut / "summary.json").unlink()
    assert main(["resume", str(cut), str(files / "normal.py")]) == 0
    assert json.loads((cut / "summary.json").read_text())["estimates"] == before
    (cut / "summary.json").unlink()
    text = (cut / "config.toml").read_text()
    (cut / "config.toml").write_text(text + "num_strats = 3\n")
    capsys.readouterr()
    assert main(["resume", str(cut), str(files / "normal.py")]) == 2
    assert "got 'num_strats'. Try 'num_starts'" in capsys.readouterr().err


def test_what_is_resumed_is_the_recipe_of_the_run(files, monkeypatch):
    """Every field unlike its default, as config.toml holds it."""
    options: dict[str, Any] = {
        "guide": "mean-field", "precision_nats": 0.5, "num_starts": 2, "init": "pathfinder",
        "num_draws": 200, "refine": "none", "subsample": {"rows": 3}, "precision": "float32",
    }  # fmt: skip
    recipe = ProgramRecipe("normal.py", "rows.json", PosteriorOptions(**options), seed=7)
    for part in (recipe, recipe.posterior):
        assert all(getattr(part, f.name) != f.default for f in fields(part))
    monkeypatch.chdir(files)  # where the recipe has its data
    folder, seen = RunFolder.create(files / "begun", recipe.to_dict()), []
    monkeypatch.setattr("taut.cli.infer.run_infer", lambda *given, **_: seen.append(given))
    assert main(["resume", str(folder.path), "normal.py"]) == 0
    assert seen == [(recipe, folder.path)]


def test_two_programs_on_the_same_data_compare_by_evidence(run, files, capsys):
    out = files / "wide"
    (files / "wide.py").write_text(PROGRAM.replace("2.0", "20.0"))
    command = [
        "infer",
        str(files / "wide.py"),
        "--data",
        str(files / "rows.json"),
        "--out",
        str(out),
    ]
    assert main([*command, "--guide", "laplace", "--num-draws", "4000"]) == 0
    capsys.readouterr()
    assert main(["compare", str(run), str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["differences"]
    y, n = np.asarray(ROWS), len(ROWS)
    exact = [multivariate_normal(np.zeros(n), sd**2 + np.eye(n)).logpdf(y) for sd in (2.0, 20.0)]
    log_bayes = found["log_evidence"]
    assert abs(log_bayes["value"] - exact[0] + exact[1]) < 5 * log_bayes["mc_error"] + 1e-6
    assert set(found) == {"elbo", "log_evidence"}
    assert main(["compare", str(run), str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ELBO ", printed, re.M)
    assert "held-out" not in printed


def test_a_missing_arviz_says_which_extra(monkeypatch, small):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(
        InputError, match=r"^inference data: .* Try `pip install 'taut\[arviz\]'`\.$"
    ):
        small.to_inference_data()


def test_inference_data_holds_resampled_draws_and_the_guides(small):
    import arviz

    made = small.to_inference_data(num_draws=300)
    kind = "InferenceData" if int(arviz.__version__.split(".")[0]) < 1 else "DataTree"
    assert type(made).__name__ == kind
    assert made.posterior["mu"].shape == (1, 300)
    assert made.guide["mu"].shape == (1, 300)
    expected = np.asarray(small.draws(300)["mu"])
    np.testing.assert_array_equal(made.posterior["mu"].values[0], expected)
    assert made.attrs["khat"] == small.khat
    assert arviz.summary(made).loc["mu", "mean"] == pytest.approx(expected.mean(), abs=0.01)


@pytest.fixture(scope="module")
def small():
    """The same posterior by Laplace, which is exact here."""
    space = {"support": {"mu": "real"}, "guide": "laplace", "num_draws": 500}
    y = np.asarray(ROWS)

    def log_joint(mu, y):
        return -0.5 * (mu / 2.0) ** 2 - 0.5 * jax.numpy.sum((y - mu) ** 2)

    return taut.infer(log_joint, data={"y": y}, **space)
