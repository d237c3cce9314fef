"""`--config` of the commands em and infer: files that people write, and those of runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from taut.cli.main import main
from taut.recipe import ProgramRecipe
from taut.runs import RunFolder, read_toml

pytestmark = pytest.mark.usefixtures("undrawn")


def _complaint(capsys, *words: str | Path) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize(
    "text",
    [
        "num-starts = 1\nseed = 3\nsubsample = 'rows:5'\n",
        "[any]\nnum_starts = 1\nsubsample = {rows = 5}\n[other]\nseed = 3\n",
        "format = 2\nseed = 3\n[posterior]\nnum_starts = 1\n[posterior.subsample]\nrows = 5\n",
    ],
)
def test_options_of_a_posterior_stand_in_any_section(text, tmp_path):
    path = tmp_path / "options.toml"
    path.write_text(text)
    found = ProgramRecipe.from_dict(read_toml(path))
    assert (found.posterior.num_starts, found.seed) == (1, 3)
    assert found.posterior.subsample == {"rows": 5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_strats = 1", "options.toml: expected an option of taut infer, got 'num_strats'"),
        ("num-starts = 1\nnum_starts = 2", "each option once, got 'num_starts' twice"),
        ("num_starts = 'two'", "num-starts: expected a whole number, got 'two'"),
        ("guide = 3", "guide: expected text, got 3"),
        ("subsample = 'rows'", "subsample: expected PLATE:ROWS, got 'rows'"),
        ("posterior = 3", "an option of taut infer, got 'posterior'"),
        ("seed = 'a'", "seed: expected a whole number, got 'a'"),
        ("data = 3", "data: expected the name of a file, got 3"),
        ("format = 'x'", "expected format 2 or older, got format x"),
        ("format = 2\n[model]\nname = 'gmm'", "options of a posterior, got those of a fit"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_a_posterior_is_one_line(text, words, tmp_path, capsys):
    path = tmp_path / "options.toml"
    path.write_text(text)
    assert words in _complaint(capsys, "infer", "program.py", "--config", path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 'vae'", "gmm, lca, mixed, ppca, fa, got 'vae'. Try `taut fit` with --model vae"),
        ("inference = 'joint'", "inference: expected one of em, online-em, got 'joint'"),
        ("componets = 3", "options.toml: expected a known option, got 'componets'. Try 'components'"),
        ("format = 2\n[posterior]", "options of a fit, got those of a posterior"),
        ("format = 2\ndata = 'rows.csv'", "options.toml, data: expected a table, got 'rows.csv'"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_em_is_one_line(text, words, tmp_path, capsys):
    path = tmp_path / "options.toml"
    path.write_text(text)
    assert words in _complaint(capsys, "em", "rows.csv", "--config", path)


def test_a_run_of_em_is_repeated_by_its_file_and_what_is_typed_wins(tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(90, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b,c", comments="")
    (tmp_path / "options.toml").write_text(
        "restarts = 1\n[model]\ncovariance = 'diag'\ncomponents = 2\n"
    )
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    file = ["--config", str(tmp_path / "options.toml")]
    assert main(["em", str(tmp_path / "rows.csv"), *file, "--out", str(one), "--json"]) == 0
    file = ["--config", str(one / "config.toml")]
    assert main(["em", *file, "--out", str(two), "--json"]) == 0
    for name in ("config.toml", "metrics.jsonl", "model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    capsys.readouterr()
    assert main(["em", *file, "--components", "1", "--out", str(three), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["em"]["components"] == 1
    assert RunFolder.open(three).read_config()["model"]["covariance"] == "diag"
