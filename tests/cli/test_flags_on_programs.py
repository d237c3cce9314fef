"""Every flag of the commands on a run of `taut infer` arrives, with the options that the run had.

The functions are recorders, as in `test_flags_of_commands`.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from undrawn_figures import without_figures

from taut.cli.main import main
from taut.inference.posterior import PosteriorOptions
from taut.runs import KeptRows

PROGRAM = """
import numpyro, numpyro.distributions as dist

def model(y):
    m = numpyro.sample("m", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(m, 1.0).expand((3,)).to_event(1), obs=y)
"""
OPTIONS = {"guide": "laplace", "refine": "none", "num_starts": 1, "num_draws": 500}

# (command, keyword) -> words unlike the default, and what the recorder must then have seen.
FLAGS: dict[tuple[str, str], tuple[tuple[str, str], dict[str, Any]]] = {
    ("calibrate", "refits"): (("--refits", "70"), {"refits": 70}),
    ("calibrate", "draws"): (("--draws", "7"), {"draws": 7}),
    ("calibrate", "seconds"): (("--seconds", "17"), {"seconds": 17.0}),
    ("calibrate", "seed"): (("--seed", "7"), {"key": 7}),
    ("evaluate", "seconds"): (("--seconds", "17"), {"seconds": 17.0}),
    ("evaluate", "seed"): (("--seed", "7"), {"key": 7}),
}
COMMANDS = sorted({command for command, _ in FLAGS})
Call = Callable[..., dict[str, Any]]


class Called(Exception):
    """The recorder was reached, and has nothing to give back."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "normal.py").write_text(PROGRAM)
    (folder / "data.json").write_text('{"y": [1.0, 2.0, 0.5]}')
    few = [w for n, v in OPTIONS.items() for w in (f"--{n.replace('_', '-')}", str(v))]
    words = ["infer", str(folder / "normal.py"), "--data", str(folder / "data.json"), *few]
    with without_figures():
        assert main([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def call(run, monkeypatch) -> Call:
    """A command line -> what was called with it."""
    found: dict[str, Any] = {}

    def refitted(posterior: Any, **given: Any) -> Any:
        found.update(given)
        raise Called

    def kept(folder: Path, *, of: str, fingerprint: str) -> KeptRows:
        found.update(fingerprint=fingerprint)
        return KeptRows(folder, of=of, fingerprint=fingerprint)

    monkeypatch.setattr("taut.api.calibrating.calibrate_posterior", refitted)
    monkeypatch.setattr("taut.api.bracketing.bracket_posterior", refitted)
    monkeypatch.setattr("taut.runs.KeptRows", kept)

    def record(command: str, *words: str, program: str = "normal.py") -> dict[str, Any]:
        found.clear()
        with contextlib.suppress(Called):
            assert main([command, str(run), str(run.parent / program), *words]) == 0
        return dict(found)

    return record


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_a_flag_arrives(command, flag, call):
    words, wanted = FLAGS[command, flag]
    before, after = call(command), call(command, *words)
    assert wanted.items() <= after.items()
    assert not wanted.items() <= before.items()
    # What all refits may take changes none of them.
    assert (before["fingerprint"] == after["fingerprint"]) == (flag == "seconds")


@pytest.mark.parametrize("command", COMMANDS)
def test_refits_have_the_options_of_the_run(command, call):
    assert call(command)["options"] == PosteriorOptions(**OPTIONS)


@pytest.mark.parametrize("command", COMMANDS)
def test_refits_of_another_program_are_not_gone_on_from(command, call, run):
    """Also where its density is the same, as far as anybody looked."""
    before, other = call(command)["fingerprint"], run.parent / "other.py"
    other.write_text(PROGRAM)
    assert call(command, program=other.name)["fingerprint"] == before
    other.write_text(PROGRAM.replace("2.0", "4.0 / 2.0"))
    assert call(command, program=other.name)["fingerprint"] != before
