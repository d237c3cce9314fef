"""A posterior that is stopped, after whatever climb, ends with the bytes of one that never was."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import taut
from taut.cli.main import main
from taut.core import InputError, RunError
from taut.inference.posterior import PosteriorOptions
from taut.runs import stages

SAME = ("config.toml", "coordinates.csv", "draws.safetensors", "model.json", "model.safetensors")

pytestmark = pytest.mark.usefixtures("undrawn")

PROGRAM = """
import numpyro
from numpyro import distributions as dist


def model(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""


class Stop(Exception):
    """What a kill is in these tests."""


@contextlib.contextmanager
def stopped_at(write: int, monkeypatch, error: BaseException) -> Iterator[None]:
    """A stretch that is stopped once so many climbs are kept."""
    real, writes = stages.save_state, iter(range(1, 10**6))

    def saved(*arguments: Any, **options: Any) -> Path:
        path = real(*arguments, **options)
        if next(writes) == write:
            raise error
        return path

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_state", saved)
        yield


def _density(p: dict[str, Any], data: dict[str, Any]) -> Any:
    a, b = p["a"], p["b"]
    return -0.5 * a**2 - 0.5 * jnp.exp(-a) * jnp.sum((data["y"] - b) ** 2) - 0.1 * b**2 - a


def _infer(**options: Any) -> taut.Posterior:
    return taut.infer(
        _density, data={"y": jnp.arange(3.0)}, support={"a": "real", "b": "real"},
        **{"num_starts": 2, "num_draws": 200, **options},
    )  # fmt: skip


def _same(run: Path, whole: Path, names: Sequence[str] = SAME) -> None:
    for name in names:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (run / "checkpoints").exists()


@pytest.mark.parametrize(
    ("guide", "climbs"),
    [("full-rank", (1, 6)), ("low-rank:1", (5,)), ("laplace", (1,)), ("planar:1", (11,))],
)
def test_a_posterior_that_was_stopped_changes_no_byte(guide, climbs, tmp_path, monkeypatch):
    whole = _infer(guide=guide, out=tmp_path / "whole")
    for climb in climbs:
        run = tmp_path / f"stopped-{climb}"
        with stopped_at(climb, monkeypatch, Stop()), pytest.raises(Stop):
            _infer(guide=guide, out=run)
        kept = len(list((run / "checkpoints").iterdir()))
        assert kept == climb
        found = _infer(guide=guide, out=run, resume=True)
        assert found.notes[0].startswith("resumed")
        assert repr(found.estimates) == repr(whole.estimates)
        _same(run, tmp_path / "whole")


def test_another_program_is_not_gone_on_with(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with stopped_at(2, monkeypatch, Stop()), pytest.raises(Stop):
        _infer(out=run)
    assert main(["resume", str(run)]) == 2
    remedy = f"taut.infer(the same program and data, out={str(run)!r}, resume=True)"
    assert remedy in capsys.readouterr().err
    with pytest.raises(InputError, match="the data and options that the run began with"):
        taut.infer(
            lambda p, data: -0.5 * (p["a"] ** 2 + p["b"] ** 2), data={"y": jnp.arange(3.0)},
            support={"a": "real", "b": "real"}, num_draws=200, num_starts=2, out=run, resume=True,
        )  # fmt: skip
    with pytest.raises(InputError, match="num_starts = 2, as the run began, got 3"):
        _infer(out=run, resume=True, num_starts=3)


def test_a_posterior_that_cannot_be_leaves_no_folder(tmp_path):
    with pytest.raises(RunError):
        taut.infer(lambda p: p["a"], support={"a": "real"}, num_starts=3, out=tmp_path / "run")
    with pytest.raises(InputError):
        _infer(guide="low-rank:9", out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_names_the_command_that_goes_on(tmp_path, monkeypatch, capsys):
    program, rows = tmp_path / "normal.py", tmp_path / "rows.json"
    program.write_text(PROGRAM)
    rows.write_text(json.dumps({"y": [0.3, 1.9, 1.2]}))
    command = [
        "infer",
        str(program),
        "--data",
        str(rows),
        "--num-starts",
        "1",
        "--num-draws",
        "200",
    ]
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*command, "--json", "--out", str(whole)]) == 0
    capsys.readouterr()
    with stopped_at(3, monkeypatch, KeyboardInterrupt()):
        assert main([*command, "--out", str(run)]) == 130
    named = f"`taut resume {run} {program}`"
    assert f"interrupted; {named} goes on" in capsys.readouterr().err
    for asked in ("show", "calibrate", "resume"):
        assert main([asked, str(run), *([str(program)] if asked == "calibrate" else [])]) == 2
        assert named in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir()
    moved = program.rename(tmp_path / "elsewhere" / program.name)
    assert main(["resume", str(run), str(moved), "--json"]) == 0
    assert f'program = "{moved}"' in (run / "config.toml").read_text()
    _same(run, whole, SAME[1:])


def _again(p: dict[str, Any], data: dict[str, Any]) -> Any:
    return _density(p, data)


ASKED: dict[str, dict[str, Any]] = {
    "the key": {"key": jax.random.key(2)},
    "an option": {"num_starts": 3},
    "the data": {"data": {"y": jnp.arange(3.0) + 1}},
    "the program": {"target": _again},
    "a support": {"support": {"a": "real", "b": "positive"}},
}


@pytest.mark.parametrize("what", ASKED)
def test_climbs_are_gone_on_from_if_nothing_else_is_asked(what, tmp_path, monkeypatch):
    def stages_of(folder: Path, *, fingerprint: str, **_: Any) -> Any:
        raise Stop(fingerprint)

    def mark(**changed: Any) -> str:
        asked = {
            "target": _density, "data": {"y": jnp.arange(3.0)}, "support": {"a": "real", "b": "real"},
            "key": jax.random.key(1), **changed,
        }  # fmt: skip
        with pytest.raises(Stop) as stopped:
            taut.infer(**asked, out=tmp_path / "run", force=True)
        return stopped.value.args[0]

    monkeypatch.setattr("taut.api.inferring.KeptStages", stages_of)
    asked = mark()
    assert mark() == asked
    assert mark(**ASKED[what]) != asked


WRITTEN_OUT: dict[str, dict[str, Any]] = {
    "a guide": {"guide": "full-rank"},
    "draws": {"num_draws": 10_000},
    "nats": {"precision_nats": 1},
    "a seed": {"key": jax.random.key(0)},
}


@pytest.mark.parametrize("what", WRITTEN_OUT)
@pytest.mark.parametrize("first", [True, False])
def test_a_default_that_is_written_out_asks_for_the_same_run(what, first, tmp_path, monkeypatch):
    plain = {"num_draws": None, "precision_nats": 1.0}
    begun, again = (plain, plain | WRITTEN_OUT[what])[:: 1 if first else -1]
    _infer(out=tmp_path / "whole", **begun)
    run = tmp_path / "run"
    with stopped_at(3, monkeypatch, Stop()), pytest.raises(Stop):
        _infer(out=run, **begun)
    found = _infer(out=run, resume=True, **again)
    assert found.notes[0].startswith("resumed")
    _same(run, tmp_path / "whole")


OLDER: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a whole number": lambda options: options | {"precision_nats": 1},
    "no such option": lambda options: {n: v for n, v in options.items() if n != "refine"},
}


@pytest.mark.parametrize("what", OLDER)
def test_options_as_an_earlier_version_wrote_them_ask_for_the_same_run(what, tmp_path, monkeypatch):
    _infer(out=tmp_path / "whole", precision_nats=1.0)
    run, now = tmp_path / "run", PosteriorOptions.to_dict
    with monkeypatch.context() as patch, stopped_at(3, monkeypatch, Stop()):
        patch.setattr(PosteriorOptions, "to_dict", lambda self: OLDER[what](now(self)))
        with pytest.raises(Stop):
            _infer(out=run, precision_nats=1.0)
    found = _infer(out=run, resume=True, precision_nats=1)
    assert found.notes[0].startswith("resumed")
    _same(run, tmp_path / "whole", SAME[1:])


def test_another_key_is_not_that_of_the_seed(tmp_path, monkeypatch):
    for begun, again in ((0, jax.random.key(1)), (jax.random.key(1), 0)):
        run = tmp_path / f"{type(begun).__name__}"
        with stopped_at(2, monkeypatch, Stop()), pytest.raises(Stop):
            _infer(out=run, key=begun)
        with pytest.raises(InputError, match=r"as the run began|that the run began with"):
            _infer(out=run, resume=True, key=again)
