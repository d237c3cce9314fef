"""A posterior stands for the program and the data that it was fitted to: others are refused."""

import json
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.runs import stages

Y = np.array([0.3, 1.9, 1.2, 0.8, 1.5])
ROWS = {"y": Y, "wide": 2.0}
SUPPORT = {"mu": "real"}

pytestmark = pytest.mark.usefixtures("undrawn")


def program(y, wide, noise=1.0):
    mu = numpyro.sample("mu", dist.Normal(0.0, wide))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu, noise), obs=y)


def _enclosing(noise: float) -> Any:
    """A program whose lines are the same whatever it reads from around it."""

    def enclosed(y, wide):
        program(y, wide, noise)

    return enclosed


def _density(noise: float) -> Any:
    def density(p, data):
        return -0.5 * np.sum((data["y"] - 1) ** 2) / noise - 0.5 * p["mu"] ** 2 / noise

    return density


CASES = {
    "rows": (program, ROWS, None, program, {**ROWS, "y": 1.001 * Y}),
    "closure": (_enclosing(1.0), ROWS, None, _enclosing(1.1), ROWS),
    "log-joint": (_density(1.0), {"y": Y}, SUPPORT, _density(1.1), {"y": Y}),
}


def _fitted(target: Any, data: Any, support: Any, **options: Any) -> taut.Posterior:
    return taut.infer(
        target, data=data, support=support, num_draws=100, num_starts=1, refine="none", **options
    )


ONES = np.ones(5)


def with_settings(y, noise=1.0, weight=ONES, rows=5, flag=None):
    program(y, weight.mean(), noise)


SETTINGS = {"noise": 1.0, "weight": ONES, "rows": 5, "flag": None}


@pytest.mark.parametrize("fitted", [(), ("noise",), tuple(SETTINGS)], ids=str)
def test_a_setting_at_its_default_is_no_other_data(fitted, tmp_path):
    """Whether it was left out, or said, at the fit or at the load."""
    data = {"y": Y, **{name: SETTINGS[name] for name in fitted}}
    made = _fitted(with_settings, data, None)
    made.save(tmp_path / "run")
    for said in ((), *((name,) for name in SETTINGS), tuple(SETTINGS)):
        given = {"y": Y, **{name: SETTINGS[name] for name in said}}
        loaded = taut.load(tmp_path / "run", like=with_settings, data=given)
        np.testing.assert_array_equal(loaded.z, made.z)
    for name, value in (("noise", 1.1), ("weight", 1.1 * ONES)):
        with pytest.raises(InputError, match="the data that were fitted"):
            taut.load(tmp_path / "run", like=with_settings, data={"y": Y, name: value})


@pytest.mark.parametrize("changed", CASES)
def test_another_program_or_other_data_are_not_loaded_with_it(changed, tmp_path):
    target, data, support, other, others = CASES[changed]
    run = tmp_path / "run"
    _fitted(target, data, support, out=run, guide="laplace")
    again = taut.load(run, like=target, data=data, support=support)
    assert again.evidence(num_particles=100).count == 1
    with pytest.raises(InputError, match=r"expected the (data|program) that (were|was) fitted"):
        taut.load(run, like=other, data=others, support=support)


@pytest.mark.parametrize("fitted_in", ["float32", "float64"])
def test_a_program_is_known_again_in_whatever_precision_its_data_are_held(fitted_in, tmp_path):
    run, far = tmp_path / "run", {"y": 1000 + Y, "wide": 1e4}
    _fitted(_enclosing(0.01), far, None, out=run, precision=fitted_in, guide="laplace")
    for dtype in (np.float64, np.float32):
        taut.load(run, like=_enclosing(0.01), data={**far, "y": far["y"].astype(dtype)})
    with pytest.raises(InputError, match="expected the program that was fitted"):
        taut.load(run, like=_enclosing(0.0101), data=far)


@pytest.mark.parametrize("changed", ["closure", "log-joint"])
def test_another_program_is_not_gone_on_with(changed, tmp_path, monkeypatch):
    target, data, support, other, others = CASES[changed]
    real, run = stages.save_state, tmp_path / "run"

    def killed(*arguments: Any, **options: Any) -> Any:
        real(*arguments, **options)
        if any("done" in path.name for path in (run / "checkpoints").iterdir()):
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_state", killed)
        with pytest.raises(ZeroDivisionError):
            _fitted(target, data, support, out=run)
    with pytest.raises(InputError, match=r"expected the (data|program) .*that the run began with"):
        _fitted(other, others, support, out=run, resume=True)
    _fitted(target, data, support, out=run, resume=True)


def test_rows_in_minibatches_are_known_again(tmp_path):
    run, rows = tmp_path / "run", {"y": np.linspace(-1, 2, 40), "wide": 2.0}
    fitted = _enclosing(1.0)
    _fitted(fitted, rows, None, out=run, subsample={"rows": 10}, precision_nats=50.0)
    taut.load(run, like=fitted, data=rows)
    with pytest.raises(InputError, match="expected the program that was fitted"):
        taut.load(run, like=_enclosing(1.1), data=rows)


def test_a_file_that_was_edited_is_refused_in_one_line(tmp_path, capsys):
    file, data, run = tmp_path / "normal.py", tmp_path / "rows.json", tmp_path / "run"
    text = (
        "import numpyro\nfrom numpyro import distributions as dist\n\nNOISE = 1.0\n\n\n"
        "def model(y):\n    mu = numpyro.sample('mu', dist.Normal(0.0, 2.0))\n"
        "    numpyro.sample('y', dist.Normal(mu, NOISE), obs=y)\n"
    )
    file.write_text(text)
    data.write_text(json.dumps({"y": Y.tolist()}))
    fit = ["infer", f"{file}", "--data", f"{data}", "--out", f"{run}", "--guide", "laplace"]
    assert main([*fit, "--num-draws", "100", "--refine", "none"]) == 0
    capsys.readouterr()
    file.write_text(text.replace("NOISE = 1.0", "NOISE = 1.1"))
    assert main(["evaluate", str(run), str(file)]) == 2
    said = capsys.readouterr().err
    assert "expected the program that was fitted" in said
    assert said.count("\n") == 1
    file.write_text(text)
    data.write_text(json.dumps({"y": (Y + 1).tolist()}))
    assert main(["calibrate", str(run), str(file)]) == 2
    assert "expected the data that were fitted" in capsys.readouterr().err
