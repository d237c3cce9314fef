"""The files of a command are those of one call: also of one that is killed while it writes, and of one
that writes fewer files than an earlier one did."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main

RNG = np.random.default_rng(4)
X = RNG.normal(size=(120, 1)) @ [[1.0, 0.8, -0.5]] + 0.2 * RNG.normal(size=(120, 3))
HOLE = pl.Series(np.arange(120) % 5 == 0)
JUDGE = (
    "import jax.numpy as jnp\n\ndef logits(x):\n    return jnp.array([0.0, 2.0]) * (x[0] - 0.5)\n"
)
EXPLAIN = ["explain", "ppca", "--classifier", "judge.py:logits", "--target", "1", "--rows", "2"]
EXPLAIN += ["--diagnose", "--out", "why", "--confidence"]
CASES = {
    "impute": (
        ["impute", "ppca", "--draws", "2", "--out", "o.csv", "--split"],
        ["o.csv", "o-sd.csv", "o-draws.csv"],
    ),
    "score": (["score", "ppca", "--out", "s.csv", "--split"], ["s.csv", "s-columns.csv"]),
    "explain": (
        EXPLAIN,
        [f"why/{n}" for n in ("counterfactuals.json", "answers.csv", "diagnostics.json")]
        + ["why/answers.png", "why/along.png"],
    ),
    "audit": (
        ["audit", "vae", "--rows", "4", "--seed"],
        ["vae/audit.json", *(f"vae/figures/{n}.png" for n in ("gaps", "latent_kls", "overlap"))],
    ),
    "evaluate": (
        ["evaluate", "vae", "--method", "importance", "--num-particles", "200", "--seed"],
        ["vae/evaluation.json", "vae/figures/khat.png"],
    ),
    "calibrate": (
        ["calibrate", "vae", "--rows", "50", "--draws", "19", "--seed"],
        ["vae/calibration.json", "vae/figures/calibration.png"],
    ),
}
FEWER = {  # calls, and what they do not write
    "impute": (["impute", "ppca", "--out", "o.csv"], ["o-draws.csv"]),
    "score": (["score", "vae", "--out", "s.csv"], ["s-columns.csv"]),
    "explain": (
        [word for word in EXPLAIN if word != "--diagnose"] + ["0.8"],
        ["why/diagnostics.json", "why/path.png"],
    ),
    "evaluate": (["evaluate", "ppca"], ["ppca/figures/khat.png"]),
}
PARTS = ("test", "validation")
ASKED = {"impute": PARTS, "score": PARTS, "explain": ("0.8", "0.9")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A factor model and a VAE of a table with holes, and a classifier."""
    path = tmp_path_factory.mktemp("killed")
    frame = pl.DataFrame(X.round(4), ["a", "b", "c"])
    frame.with_columns(b=pl.when(~HOLE).then("b")).write_csv(path / "t.csv")
    (path / "judge.py").write_text(JUDGE)
    data = taut.load_data(str(path / "t.csv"))
    taut.em(data, model="ppca", components=1, max_iterations=3, out=path / "ppca")
    small = {"latent_dim": 1, "hidden": (4,), "epochs": 1, "evidence_particles": 2}
    taut.fit(data, **small, out=path / "vae")
    return path


def _there(names: list[str]) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names if Path(name).exists()}


@pytest.mark.parametrize("command", CASES)
def test_a_kill_leaves_files_of_one_call(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words, names = CASES[command]
    first, second = ASKED.get(command, ("0", "1"))
    assert main([*words, first]) == 0
    old = _there(names)
    assert main([*words, second]) == 0
    new = _there(names)
    assert set(old) == set(new) == set(names)
    told = [name for name in names if old[name] != new[name]]
    assert len(told) > 1  # others cannot tell
    replace = os.replace
    for stop in names:
        for name, content in old.items():
            Path(name).write_bytes(content)

        def killed(scratch, target, stop=stop):
            if Path(target).resolve() == Path(stop).resolve():
                raise KeyboardInterrupt
            replace(scratch, target)

        monkeypatch.setattr(os, "replace", killed)
        assert main([*words, second]) == 130
        monkeypatch.setattr(os, "replace", replace)
        is_new = {name: content != old[name] for name, content in _there(told).items()}
        assert set(is_new.values()) == {is_new[names[0]]}, (stop, is_new)


@pytest.mark.parametrize("command", FEWER)
def test_what_a_call_does_not_write_is_not_left_by_an_earlier_one(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words, others = FEWER[command]
    for name in others:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"of an earlier call")
    assert main(words) == 0
    assert [name for name in others if Path(name).exists()] == []
