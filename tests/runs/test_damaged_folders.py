"""Whatever happens to a file of a run: a command works on the rest, or one line names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import numpyro
import pytest
from damages import damages
from numpyro import distributions as dist

import taut
from taut.cli.main import main
from taut.cli.rows import open_run
from taut.cli.show import show
from taut.core import TautError
from taut.runs import RunFolder

COUNT = 26  # damages of each file
ROWS = np.random.default_rng(0).normal(size=(60, 3))
Y = np.array([0.3, 1.9, 1.2])


def program(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A whole run of each door."""
    folder = tmp_path_factory.mktemp("whole")
    np.save(folder / "rows.npy", ROWS)
    taut.fit(
        str(folder / "rows.npy"), model=taut.VAE(latent_dim=1, hidden=(3,)), epochs=1,
        evidence_particles=2, checkpoint_every=1, out=folder / "fit",
    )  # fmt: skip
    taut.em(str(folder / "rows.npy"), components=2, restarts=1, out=folder / "em")
    taut.infer(program, data={"y": Y}, guide="laplace", num_draws=200).save(folder / "infer")
    return {name: folder / name for name in ("fit", "em", "infer")}


def _contents(kind: str, run: Path) -> Any:
    """All that a folder holds, as loaded."""
    loaded = taut.load(run, like=program, data={"y": Y}) if kind == "infer" else taut.load(run)
    tree = loaded.guide if kind == "infer" else loaded.pair
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]
    arrays += [e.values for e in loaded.estimates.values() if e.values is not None]
    numbers = {name: e.to_dict() for name, e in loaded.estimates.items()}
    more = (loaded.z, loaded.weights) if kind == "infer" else (loaded.schema.to_dict(),)
    return arrays, numbers, more


def _looks(kind: str, run: Path, whole: Path) -> dict[str, Callable[[], Any]]:
    """What is done with a folder, and the files that it has no need of."""
    looks: dict[str, Callable[[], Any]] = {
        "load": lambda: _contents(kind, run),
        "show": lambda: show(run, json=True),
        "compare": lambda: taut.compare(run, whole),
    }
    if kind != "infer":
        looks["open"] = lambda: open_run(run)
    return looks


FILES = [
    (kind, name)
    for kind in ("fit", "em", "infer")
    for name in (
        "config.toml", "metrics.jsonl", "model.json", "model.safetensors", "summary.json",
        "rows.safetensors", *(["draws.safetensors", "coordinates.csv"] if kind == "infer" else []),
    )
]  # fmt: skip
_UNREAD = {
    "metrics.jsonl": {"show", "compare", "open"},
    "model.safetensors": {"show", "compare"},
    "rows.safetensors": {"open"},
    "draws.safetensors": {"show", "compare"},
    "coordinates.csv": {"load", "compare"},
}


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_damaged_file_is_named_or_not_needed(kind, name, runs, tmp_path, capsys):
    whole = runs[kind]
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    rng = np.random.default_rng(len(name))
    expected = _contents(kind, whole)
    sealed = name.endswith((".json", ".safetensors"))
    for what, content in damages(whole / name, rng, COUNT):
        (run / name).write_bytes(content)
        for look, found in _looks(kind, run, whole).items():
            try:
                result = found()
            except TautError as error:
                line = error.worded("command line")
                assert "\n" not in line, (what, look)
                assert str(run) in line or name == "config.toml", (what, look, line)
                assert look not in _UNREAD.get(name, ()), (what, look, line)
            else:
                if look == "load" and sealed:
                    np.testing.assert_equal(result, expected, what)
            capsys.readouterr()


def test_a_run_whose_summary_is_no_more_can_be_resumed(runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["fit"], run)
    before = taut.load(run)
    (run / "summary.json").write_text("")
    assert not RunFolder(run).is_finished
    assert main(["show", str(run)]) == 2
    assert f"Try `taut resume {run}`, or a backup" in capsys.readouterr().err
    assert main(["resume", str(run), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["estimates"]
    assert again == {name: e.to_dict() for name, e in before.estimates.items()}


def test_a_last_line_that_was_cut_off_is_left_out(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["fit"], run)
    path = run / "metrics.jsonl"
    steps = RunFolder(run).read_steps()
    path.write_text(path.read_text()[:-5])
    assert RunFolder(run).read_steps() == steps[:-1]


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 0}', '{"bound": 1.0}', '{"step": 0, "bound": "1"}', '{"step": 0, "bound": [1]}',
        '{"step": 0, "bound": 1.0, "validation": {"value": 1}}',
        '{"step": 0, "bound": 1.0, "validation": 3}', "[0, 1.0]", "[" * 100_000,
    ],
)  # fmt: skip
def test_a_step_that_is_none_is_told_as_damage(line, runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["em"], run)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([line, *lines[1:], ""]))
    assert main(["figures", str(run)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{run}/metrics.jsonl: expected the metrics.jsonl that taut wrote, got another" in said


@pytest.mark.parametrize("damage", ["NaN", "type"])
def test_a_model_of_an_older_taut_is_looked_at_all_the_same(damage, runs, tmp_path):
    """Files before format 3 have no checksum; NaN and other types are refused, the rest is read."""
    run = tmp_path / "run"
    shutil.copytree(runs["fit"], run)
    content = json.loads((run / "model.json").read_text())
    del content["sha256"]
    (run / "model.json").write_text(json.dumps({**content, "format": 2}))
    taut.load(run)
    from safetensors.numpy import load_file, save_file

    arrays = load_file(run / "model.safetensors")
    change = (
        (lambda a: np.full(a.shape, np.nan, a.dtype))
        if damage == "NaN"
        else (lambda a: a.astype(np.float64))
    )
    save_file({name: change(a) for name, a in arrays.items()}, run / "model.safetensors")
    with pytest.raises(taut.InputError, match=damage if damage == "NaN" else "float64"):
        taut.load(run)
