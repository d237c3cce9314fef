"""The command line as a user drives it: what it prints, what it leaves, and what it says when wrong."""

import json
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from undrawn_figures import without_figures

from taut.cli.main import main
from taut.fitted import escalating
from taut.runs.own_files import own_files

QUICK = ["--hidden", "16", "--latent-dim", "2", "--epochs", "2", "--evidence-particles", "30"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run on the digits."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["fit", "digits", "--out", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another one, by another bound."""
    folder = tmp_path_factory.mktemp("cli") / "other"
    bound = ["--bound", "iwae", "--num-particles", "3", "--seed", "1"]
    with without_figures():
        assert main(["fit", "digits", "--out", str(folder), *QUICK, *bound]) == 0
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A run on 200 rows of the digits."""
    folder = tmp_path_factory.mktemp("few")
    np.save(folder / "rows.npy", load_digits().images[:200].astype(np.uint8))
    with without_figures():
        assert main(["fit", str(folder / "rows.npy"), "--out", str(folder / "run"), *QUICK]) == 0
    return folder / "run"


def _complaint(capsys, *arguments, code=2):
    """The one line on standard error of a command that must be refused."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("taut: ")
    return lines[0]


def _size(picture):
    with Image.open(picture) as image:
        return image.size


def _json(capsys, *arguments):
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_folder_holds_everything(run):
    names = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    assert names == {
        "config.toml", "metrics.jsonl", "model.json", "model.safetensors", "rows.safetensors",
        "summary.json", "checkpoints/step-000000022.safetensors",
        "figures/learning-curves.png", "figures/samples.png",
        "figures/reconstructions.png", "figures/interpolation.png", "figures/latents.png",
    }  # fmt: skip
    assert names == {str(p.relative_to(run)) for p in own_files(run)}
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(22))
    estimates = json.loads((run / "summary.json").read_text())["estimates"]
    assert set(estimates) == {
        "elbo", "reconstruction", "kl", "log_evidence", "independent_columns", "bits_per_dimension",
    }  # fmt: skip
    for estimate in estimates.values():
        assert {"value", "side", "mc_error", "data_error", "count", "unit", "flags"} == set(
            estimate
        )
    assert estimates["log_evidence"]["value"] > estimates["elbo"]["value"]
    assert estimates["independent_columns"]["side"] == "exact"
    for figure in (run / "figures").iterdir():
        assert min(_size(figure)) > 300


@pytest.mark.usefixtures("undrawn")
def test_the_end_of_a_fit_reads_well(tmp_path, capsys):
    assert main(["fit", "digits", "--out", str(tmp_path / "r"), *QUICK]) == 0
    out, err = capsys.readouterr()
    for words in ("held-out ELBO", "KL(q to prior)", "log-evidence", "columns alone", "bits/dimension",
                  "lower bound", "± draws", "± rows", "training seconds", "device", str(tmp_path / "r"),
                  "pixels are grey levels k/16"):  # fmt: skip
        assert words in out
    assert err == ""  # no progress off a terminal


@pytest.mark.usefixtures("undrawn")
def test_config_toml_repeats_the_run(run, tmp_path, capsys):
    again = _json(capsys, "fit", "--config", run / "config.toml", "--out", tmp_path / "r", "--json")
    before = json.loads((run / "summary.json").read_text())["estimates"]
    assert again["estimates"] == before
    weights = [(folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "r")]
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("undrawn")
def test_options_win_over_the_file_and_sections_are_free(tmp_path, capsys):
    config = tmp_path / "c.toml"
    config.write_text(
        'data = "digits"\n[any]\nhidden = [16]\nlatent-dim = 3\nepochs = 1\n'
        "[thing]\nevidence_particles = 30\n"
    )
    found = _json(
        capsys, "fit", "--config", config, "--latent-dim", "2", "--out", tmp_path / "r", "--json"
    )
    structure = json.loads((tmp_path / "r" / "model.json").read_text())["architecture"]
    assert structure["latent_dim"] == 2
    assert structure["hidden"] == [16]
    assert found["facts"]["steps"] == 11


def test_evaluate_goes_on_to_a_number_that_holds(few, capsys, monkeypatch):
    ladder = escalating.ladder
    monkeypatch.setattr(escalating, "ladder", lambda *given: ladder(*given)[:2])  # chains take long
    monkeypatch.setattr(escalating, "_SIMULATED_ROWS", 20)
    found = _json(capsys, "evaluate", few, "--num-particles", "200", "--json")
    assert found["rows"] == 20
    before = json.loads((few / "summary.json").read_text())["estimates"]["elbo"]
    again = found["importance"]["elbo"]
    assert abs(again["value"] - before["value"]) < 5 * (again["mc_error"] + before["mc_error"])
    for method in ("importance", "refined"):
        assert 1 <= found[method]["ess"]["least"] <= found[method]["ess"]["median"] <= 200
        assert len(found[method]["khat"]["worst_rows"]) == 5
    # The encoder of so short a fit is flagged, and each row gets a Gaussian of its own.
    shares = {m: found[m]["khat"]["share_above"] for m in ("importance", "refined")}
    assert shares["refined"] < 0.06 < shares["importance"]
    bracket = found["bracket"]
    assert bracket["method"] == "refined"
    assert bracket["lower"] == found["refined"]["log_evidence"]
    assert [step["method"] for step in bracket["steps"]] == ["importance", "refined"]
    assert main(["evaluate", str(few), "--num-particles", "50", "--split", "validation"]) == 0
    printed = capsys.readouterr().out
    assert "k-hat" in printed
    last = printed.strip().splitlines()[-1]
    assert last.startswith("Quote -")
    assert ", by refined: " in last
    assert "Stopped: " in last
    assert min(_size(few / "figures" / "khat.png")) > 300


def test_a_run_that_cannot_be_written_is_evaluated_and_sampled(run, tmp_path, monkeypatch, capsys):
    kept = tmp_path / "kept"
    shutil.copytree(run, kept)
    shutil.rmtree(kept / "figures")
    (kept / "figures").touch()  # whoever may write everywhere cannot write into this either
    capsys.readouterr()
    quick = ["--method", "importance", "--num-particles", "20", "--json"]
    assert main(["evaluate", str(kept), *quick]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["figure"] is None
    assert found["importance"]["log_evidence"]["count"] == 180
    assert err.startswith(f"note: {kept}/figures/khat.png is not written: ")
    monkeypatch.setattr("os.access", lambda path, mode: path != kept)
    assert _complaint(capsys, "sample", kept).endswith(f"got {kept}. Try another --out.")
    assert main(["sample", str(kept), "--out", str(tmp_path / "x.npy")]) == 0


def test_sample_writes_pictures_and_numbers(run, tmp_path, capsys):
    assert main(["sample", str(run), "-n", "9"]) == 0
    assert (run / "samples.png").exists()
    (run / "samples.png").unlink()
    main(["sample", str(run), "-n", "9", "--out", str(tmp_path / "s.npy")])
    x = np.load(tmp_path / "s.npy")
    assert x.shape == (9, 8, 8)
    np.testing.assert_allclose(x * 16, np.rint(x * 16), atol=1e-5)
    main(["sample", str(run), "-n", "9", "--out", str(tmp_path / "s.csv")])
    assert pl.read_csv(tmp_path / "s.csv").shape == (9, 64)
    main(["sample", str(run), "-n", "9", "--mean", "--out", str(tmp_path / "m.npy")])
    assert (
        np.abs(np.load(tmp_path / "m.npy") * 16 - np.rint(np.load(tmp_path / "m.npy") * 16)).max()
        > 0.01
    )


def test_encode_reconstruct_and_interpolate(run, tmp_path, capsys):
    assert main(["encode", str(run), "--out", str(tmp_path / "z.csv")]) == 0
    table = pl.read_csv(tmp_path / "z.csv")
    assert table.columns == ["row", "label", "z0", "z1"]
    assert table.shape[0] == 180
    main(["encode", str(run), "digits", "--split", "train", "--out", str(tmp_path / "z.parquet")])
    assert pl.read_parquet(tmp_path / "z.parquet").shape == (1437, 4)

    np.save(tmp_path / "mine.npy", load_digits().images[:7])
    main(["encode", str(run), str(tmp_path / "mine.npy"), "--out", str(tmp_path / "z.npy")])
    assert np.load(tmp_path / "z.npy").shape == (7, 2)

    main(["reconstruct", str(run), "-n", "4", "--out", str(tmp_path / "r.npy")])
    assert np.load(tmp_path / "r.npy").shape == (4, 8, 8)
    main(["reconstruct", str(run), "-n", "4", "--out", str(tmp_path / "r.csv")])
    assert pl.read_csv(tmp_path / "r.csv")["row"].to_list() == table["row"][:4].to_list()
    # Rows by their numbers in the data set, wherever they were split to.
    mine, out = ["--data", str(tmp_path / "mine.npy")], tmp_path / "i.npy"
    main(["reconstruct", str(run), *mine, "--out", str(tmp_path / "m.npy")])
    ends = np.load(tmp_path / "m.npy")[[0, 5]]
    for where in ([], mine):
        main(["interpolate", str(run), "0", "5", *where, "--num-steps", "6", "--out", str(out)])
        path = np.load(out)
        assert path.shape == (6, 8, 8)
        np.testing.assert_allclose(path[[0, -1]], ends, atol=1e-5)
    for command in (["reconstruct", str(run)], ["interpolate", str(run), "0", "5"]):
        picture = tmp_path / f"{command[0]}.png"
        assert main([*command, "--out", str(picture)]) == 0
        assert min(_size(picture)) > 100


def test_show_and_compare(run, other, capsys):
    assert main(["show", str(run)]) == 0
    out = capsys.readouterr().out
    assert "held-out ELBO" in out
    assert "metrics.jsonl" in out
    assert _json(capsys, "show", run, "--json")["config"]["model"]["hidden"] == [16]
    assert main(["compare", str(run), str(other)]) == 0
    found = _json(capsys, "compare", run, other, "--json")["differences"]
    own = [json.loads((f / "summary.json").read_text())["estimates"]["elbo"] for f in (run, other)]
    assert found["elbo"]["value"] == pytest.approx(own[0]["value"] - own[1]["value"])
    # Rows that are hard are hard for both: pairing removes most of the error over rows.
    assert found["elbo"]["data_error"] < min(e["data_error"] for e in own)


def test_help_and_version_load_no_jax():
    code = (
        "import sys; from taut.cli.main import main; "
        "main(sys.argv[1:]); assert 'jax' not in sys.modules, 'jax was imported'"
    )
    for arguments in (["--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
    module = subprocess.run(
        [sys.executable, "-m", "taut", "--version"], capture_output=True, text=True
    )
    assert module.stdout.strip() == "0.1.0"


def test_importing_taut_opens_no_device():
    code = (
        "import sys, taut; assert 'jax' not in sys.modules; "
        "import taut.api, jax._src.xla_bridge as bridge; assert not bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit"], ["expected DATA", "taut fit digits"]),
        (["fit", "digit"], ["digits"]),
        (["fit", "digits", "--latentdim", "3"], ["--latentdim", "--latent-dim"]),
        (["fit", "digits", "--latent-dim", "many"], ["many", "a whole number"]),
        (["fit", "digits", "--latent-dim", "0"], ["latent-dim", "got 0"]),
        (["fit", "digits", "--hidden", "2,x"], ["hidden", "'2,x'", "256,256"]),
        (["fit", "digits", "--bound", "elbow"], ["elbow"]),
        (["fit", "digits", "--likelihood", "bernouli"], ["'bernouli'", "Try 'bernoulli'"]),
        (["fit", "digits", "--likelihood", "bernoulli"], ["row", "continuous-bernoulli"]),
        (["fit", "digits", "--guide", "meanfield"], ["Try 'mean-field'"]),
        (["fit", "digits", "--activation", "rellu"], ["Try 'relu'"]),
        (["fit", "digits", "--epochs", "0"], ["epochs", "got 0"]),
        (["fit", "digits", "--learning-rate", "nan"], ["learning-rate", "got nan"]),
        (["fit", "digits", "--learning-rate", "-1"], ["learning-rate"]),
        (["fit", "digits", "--batch-size", "5000"], ["5000"]),
        (["fit", "digits", "--num-draws", "0"], ["got 0"]),
        (["fit", "digits", "--alpha", "0.5"], ["--bound renyi"]),
        (["fit", "digits", "--beta", "-1"], ["beta"]),
        (["fit", "digits", "--free-bits", "1", "--kl", "sampled"], ["free"]),
        (["fit", "digits", "--split", "0.5,a"], ["split", "0.8,0.1,0.1"]),
        (["fit", "digits", "--evidence-particles", "1"], ["two particles"]),
        (["fit", "nowhere.npy"], ["nowhere.npy"]),
        (["fit", "digits", "--config", "nowhere.toml"], ["nowhere.toml", "no such file"]),
        (["evaluate", "nowhere"], ["run folder", "nothing there"]),
        (["frobnicate"], ["frobnicate"]),
        (["sample"], ["RUN"]),
    ],
)
def test_wrong_input_gets_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = _complaint(capsys, *arguments)
    for word in words:
        assert word.lower() in line.lower()
    assert list(tmp_path.iterdir()) == []  # nothing was written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latent-dimm = 3", ["'latent-dimm'", "'latent-dim'"]),
        ("[model]\nepochs = 'ten'", ["epochs", "a whole number", "'ten'"]),
        ("epochs = true", ["epochs", "a whole number"]),
        ("epochs = 1\nepochs = 2", ["TOML"]),
        ("epochs = 1\n[again]\nepochs = 2", ["'epochs' twice"]),
        ("epochs =", ["TOML", "line 1"]),
        ("bound = 'elbow'", ["elbo, iwae, renyi", "'elbow'"]),
    ],
)
def test_a_wrong_config_is_named(text, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "c.toml"
    config.write_text(text)
    line = _complaint(capsys, "fit", "digits", "--config", config)
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == [config]


def test_a_run_is_not_overwritten(run, tmp_path, capsys):
    before = (run / "model.safetensors").read_bytes()
    line = _complaint(capsys, "fit", "digits", "--out", run, *QUICK)
    assert "--force" in line
    assert (run / "model.safetensors").read_bytes() == before
    (tmp_path / "mine.txt").write_text("keep")
    line = _complaint(capsys, "fit", "digits", "--out", tmp_path, "--force", *QUICK)
    assert "other files" in line
    assert (tmp_path / "mine.txt").read_text() == "keep"
    # A wrong option is found before --force removes anything.
    _complaint(capsys, "fit", "digits", "--out", run, "--force", "--guide", "none")
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
def test_force_replaces_a_run(tmp_path, capsys):
    for seed in ("0", "1"):
        code = main(
            ["fit", "digits", "--out", str(tmp_path / "r"), "--force", "--seed", seed, *QUICK]
        )
        assert code == 0
    lines = (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 22


def test_rows_that_do_not_fit_the_run_are_refused(run, tmp_path, capsys):
    np.save(tmp_path / "wide.npy", np.zeros((4, 9, 9)))
    assert "9" in _complaint(capsys, "encode", run, tmp_path / "wide.npy")
    refused = _complaint(capsys, "interpolate", run, "0", "1797")
    assert "a row from 0 to 1796, by its number in the data set, got 1797" in refused
    refused = _complaint(capsys, "interpolate", run, "0", "1797", "--split", "validation")
    assert "a row of the validation part, such as" in refused
    assert "leaving out --split" in refused
    assert "without --split" in _complaint(
        capsys, "evaluate", run, "--data", tmp_path / "wide.npy", "--split", "test"
    ).replace("leaving out", "without")
    assert ".png" in _complaint(capsys, "sample", run, "--out", tmp_path / "x.gif")
    assert "folder that exists" in _complaint(
        capsys, "sample", run, "--out", tmp_path / "no" / "x.png"
    )
    assert "at least one sample" in _complaint(capsys, "sample", run, "-n", "0")


def test_a_diverging_run_fails_with_its_step(tmp_path, capsys):
    line = _complaint(
        capsys, "fit", "digits", "--out", tmp_path / "r", *QUICK, "--learning-rate", "1e30", code=1
    )
    assert "finite bound" in line
    assert "step" in line


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("words.csv", "a,b\n1,x\n2,y\n", "columns of numbers"),
        ("cell.csv", "a,b\n1,2\n2,y\n", "expected a number, got 'y'"),
        ("inf.csv", "a,b\n1,2\n2,inf\n", "a finite number or nothing in every cell"),
    ],
)
def test_other_rows_for_a_run_are_offered_no_option_that_its_commands_lack(
    name, text, words, tmp_path, capsys
):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "reals.npy", rng.normal(size=(40, 2)))
    run = tmp_path / "run"
    assert main(["em", str(tmp_path / "reals.npy"), "--components", "1", "--out", str(run)]) == 0
    (tmp_path / name).write_text(text)
    refused = _complaint(capsys, "evaluate", run, "--data", tmp_path / name)
    assert words in refused
    assert "Try a copy of the data without that" in refused
    assert "--drop" not in refused
    assert "--missing" not in refused
