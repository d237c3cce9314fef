"""Whichever command prints a difference: it is what the words beside it say is subtracted."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taut
from taut.cli.main import main

NAMES = ("one", "two", "three")
MODELS: dict[str, Any] = {
    "one": taut.PPCA(components=1), "two": taut.FA(components=2), "three": taut.GMM(components=1),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Three runs on the same rows, the log-evidence of each of them its own."""
    folder = tmp_path_factory.mktemp("differences")
    rows = np.random.default_rng(0).normal(size=(80, 4)) @ np.diag([1.0, 2.0, 3.0, 0.3])
    data = taut.load_data(rows, dtype="float64")
    for name in NAMES:
        taut.em(data, model=MODELS[name], out=folder / name)
    return {name: folder / name for name in NAMES}


def _own(run: Path) -> float:
    return taut.load(run).estimates["log_evidence"].value


def _printed(capsys: Any, *words: Any) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_of_two_runs_it_is_the_first_less_the_second(order, runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    first, second = (runs[name] for name in order[:2])
    wanted = _own(first) - _own(second)
    assert taut.compare(first, second)["log_evidence"].value == pytest.approx(wanted)
    content = json.loads(_printed(capsys, "compare", first, second, "--json"))
    assert (content["first"], content["second"]) == (str(first), str(second))
    assert content["differences"]["log_evidence"]["value"] == pytest.approx(wanted)
    text = _printed(capsys, "compare", first, second)
    assert "first - second" in text
    assert np.sign(_numbers(text, "log-evidence")[0]) == np.sign(wanted)


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_of_more_runs_it_is_each_less_the_first(order, runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    paths = [runs[name] for name in order]
    first = paths[0]
    content = json.loads(_printed(capsys, "compare", *paths, "--json"))
    assert content["first"] == str(first)
    assert content["runs"][str(first)]["difference"] is None
    text = _printed(capsys, "compare", *paths)
    assert "less the first" in text
    for run in paths:
        told = content["runs"][str(run)]
        assert told["log_evidence"]["value"] == pytest.approx(_own(run))
        own, *others = _numbers(text, str(run))
        assert own == pytest.approx(_own(run), abs=0.1)
        if run != first:
            wanted = _own(run) - _own(first)
            assert told["difference"]["value"] == pytest.approx(wanted)
            assert others[0] == pytest.approx(wanted, abs=0.1)
    places = [text.index(str(run)) for run in sorted(paths, key=_own, reverse=True)]
    assert places == sorted(places)  # the highest first


def _numbers(text: str, name: str) -> list[float]:
    """The numbers of a line, behind the name that it begins with."""
    (line,) = (one for one in text.splitlines() if one.startswith(f"{name} "))
    return [float(n) for n in re.findall(r"(?<!\S)[+-]?\d+\.?\d*", line.removeprefix(name))]
