"""EM that is stopped, at whatever iteration, ends with the bytes of EM that was never stopped."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.runs import stages
from taut.runs.own_files import own_files

pytestmark = pytest.mark.usefixtures("undrawn")

SAME = ("config.toml", "metrics.jsonl", "model.json", "model.safetensors", "rows.safetensors")


class Stop(Exception):
    """What a kill is in these tests."""


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    """A state is kept after every iteration, however small the data."""
    monkeypatch.setattr(stages, "_CELLS", 1)
    monkeypatch.setattr(stages, "_WRITING", 0)


@contextlib.contextmanager
def stopped_at(write: int, monkeypatch) -> Iterator[None]:
    """A stretch that ends after so many files of states."""
    real, writes = stages.save_state, iter(range(1, 10**6))

    def saved(*arguments: Any, **options: Any) -> Path:
        path = real(*arguments, **options)
        if next(writes) == write:
            raise Stop
        return path

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_state", saved)
        with pytest.raises(Stop):
            yield


def _same(run: Path, whole: Path) -> None:
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (run / "checkpoints").exists()


def _several(data: Any, **options: Any) -> taut.Fit:
    return taut.em(
        data, model=taut.GMM(covariance="diag"), components=[1, 2], restarts=2, tolerance=0.0,
        max_iterations=4, **options,
    )  # fmt: skip


def _factors(data: Any, **options: Any) -> taut.Fit:
    return taut.em(data, model=taut.FA(1), restarts=2, tolerance=0.0, max_iterations=4, **options)


def _online(data: Any, **options: Any) -> taut.Fit:
    return taut.em(
        data, model=taut.GMM(2, covariance="diag"), online=True, restarts=1, max_iterations=2,
        tolerance=0.0, batch_size=30, passes=4, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fit", "writes"),
    # Three states a run of four iterations, and one file for each number of components.
    [(_several, (1, 5, 7, 8, 14)), (_factors, (2, 4)), (_online, (1, 2, 6))],
)
def test_em_that_was_stopped_changes_no_byte(fit, writes, clusters, tmp_path, monkeypatch):
    data = (clusters, clusters[::2], clusters[1::2])
    fit(data, out=tmp_path / "whole")
    for write in writes:
        run = tmp_path / f"stopped-{write}"
        with stopped_at(write, monkeypatch):
            fit(data, out=run)
        found = fit(data, out=run, resume=True)
        assert found.facts.notes[0].startswith("resumed")
        _same(run, tmp_path / "whole")


def test_what_was_done_is_not_done_again(clusters, tmp_path, monkeypatch):
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    with stopped_at(12, monkeypatch):  # the second iteration of the second run with two components
        _several(data, out=run)
    iterations: list[tuple[int, int, int]] = []
    _several(data, out=run, resume=True, progress=lambda p: iterations.append(p[:3]))
    assert iterations == [(2, 1, 3), (2, 1, 4)]


def test_stops_one_after_the_other_lose_nothing(clusters, tmp_path, monkeypatch):
    """Each leaves its newest state, also where it came to fewer of them than the stop before."""
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    options: dict[str, Any] = {"model": taut.FA(1), "tolerance": 0.0, "max_iterations": 6}
    iterations: list[int] = []
    for number, writes in enumerate((3, 1, 1)):
        with stopped_at(writes, monkeypatch):
            taut.em(
                data, **options, out=run, resume=number > 0,
                progress=lambda p: iterations.append(p.iteration),
            )  # fmt: skip
    taut.em(
        data, **options, out=run, resume=True, progress=lambda p: iterations.append(p.iteration)
    )
    assert iterations == [1, 2, 3, 4, 5, 6]


def test_batches_that_were_seen_are_not_read_again(clusters, tmp_path, monkeypatch):
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    with stopped_at(7, monkeypatch):  # one iteration on the sample, its result, five of 12 batches
        _online(data, out=run)
    batches: list[tuple[int, int, int]] = []
    _online(data, out=run, resume=True, progress=lambda p: batches.append(p[:3]))
    assert batches == [(2, 0, number) for number in range(5, 12)]


def test_the_data_and_the_options_are_those_that_it_began_with(
    clusters, tmp_path, monkeypatch, capsys
):
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    with stopped_at(2, monkeypatch):
        _factors(data, out=run)
    assert main(["resume", str(run)]) == 2
    remedy = f"taut.em(the same data and options, out={str(run)!r}, resume=True)"
    assert remedy in capsys.readouterr().err
    with pytest.raises(InputError, match="the data and options that the run began with"):
        _factors((clusters + 1e-3, *data[1:]), out=run, resume=True)
    other: Any = _factors(data).pair
    with pytest.raises(InputError, match="the data and options that the run began with"):
        _factors(data, out=run, resume=True, start=other.model)
    with pytest.raises(InputError, match="seed = 0, as the run began"):
        _factors(data, out=run, resume=True, key=1)
    with pytest.raises(InputError, match="the run folder to go on with"):
        _factors(data, resume=True)
    found = _factors(data, out=run, resume=True)
    with pytest.raises(InputError, match=r"a run that is not finished.* `taut show"):
        _factors(data, out=run, resume=True)
    assert found.facts.steps == 4


def test_so_is_a_random_key_that_no_file_holds(clusters, tmp_path, monkeypatch):
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    with stopped_at(2, monkeypatch):
        _factors(data, out=run, key=jax.random.key(3))
    with pytest.raises(InputError, match="the data and options that the run began with"):
        _factors(data, out=run, resume=True, key=jax.random.key(4))
    assert _factors(data, out=run, resume=True, key=jax.random.key(3)).facts.steps == 4


def test_a_damaged_state_gives_way_to_the_one_before(clusters, tmp_path, monkeypatch):
    data, run = (clusters, clusters[::2], clusters[1::2]), tmp_path / "run"
    _factors(data, out=tmp_path / "whole")
    with stopped_at(3, monkeypatch):
        _factors(data, out=run)
    newest = run / "checkpoints" / "stage-0000-step-000000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-5])
    found = _factors(data, out=run, resume=True)
    assert found.facts.notes[0].startswith("stage-0000-step-000000003.safetensors is damaged")
    _same(run, tmp_path / "whole")


def test_ctrl_c_names_the_command_that_goes_on(clusters, tmp_path, monkeypatch, capsys):
    pl.DataFrame(clusters, schema=["a", "b", "c"], orient="row").write_csv(tmp_path / "rows.csv")
    options = ["--model", "fa", "--components", "1", "--tolerance", "0", "--max-iterations", "5"]
    command = ["em", str(tmp_path / "rows.csv"), *options, "--json", "--out"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*command, str(whole)]) == 0
    reached, calls = stages.KeptStages.reached, iter(range(1, 100))

    def pressed(self: stages.KeptStages, *arguments: Any) -> None:
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        reached(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stages.KeptStages, "reached", pressed)
        assert main([*command, str(run)]) == 130
    assert capsys.readouterr().err == f"taut: interrupted; `taut resume {run}` goes on\n"
    for unfinished in (["show"], ["evaluate"], ["sample"], ["encode"]):
        assert main([*unfinished, str(run)]) == 2
        assert f"`taut resume {run}`" in capsys.readouterr().err
    assert main(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["steps"] == 5
    _same(run, whole)
    assert sorted(path for path in run.rglob("*") if path.is_file()) == sorted(own_files(run))
