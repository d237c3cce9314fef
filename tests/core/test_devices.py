"""Rows over several devices: the same fit within the rounding of a sum, and refusals of one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.cli.main import main

CHILD = Path(__file__).with_name("devices_child.py")


@pytest.fixture(scope="module")
def child() -> dict[str, Any]:
    """What a process with four devices finds."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    run = subprocess.run(
        [sys.executable, str(CHILD)], env=os.environ | {"XLA_FLAGS": flags}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_sums_of_a_step_differ_by_rounding_alone(child):
    """Recursive summation of n terms is within n eps of their absolute values: Higham 2002, 4.2."""
    for size, sums in zip((30, 32), map(np.array, child["sums"]), strict=True):
        assert np.ptp(sums) <= size * np.finfo(np.float32).eps * np.abs(sums).max()


def test_a_step_adds_up_all_it_needs_at_once(child):
    """A sum over hosts takes milliseconds however small it is; four devices take two exchanges."""
    network, summed = child["exchanges"]
    assert [name for _, name in network] == ["collective-permute"] * 2
    assert [name for _, name in summed] == ["collective-permute"] * 2
    assert {int(re.match(r"f32\[(\d+)\]", shape)[1]) for shape, _ in network} == {
        child["parameters"] + 2  # and the two means
    }


def test_a_fit_of_two_hundred_steps_is_the_same_fit(child):
    assert child["steps"] >= 200
    assert (
        0 < child["networks apart"] < 1e-9
    )  # where sums are cut otherwise, the last bits are others
    assert [words.split()[1] for words in child["devices"]] == ["1", "4"]


def test_a_batch_that_devices_do_not_divide_is_filled_up_and_said(child):
    told = [[n for n in notes if "filled up" in n] for notes in child["notes"]]
    assert [len(notes) for notes in told] == [0, 1]
    assert "batches of 30 rows are filled up to 32 on 4 devices" in told[1][0]


def test_so_is_a_minibatch_of_a_program(child):
    told = [[n for n in notes if "filled up" in n] for notes in child["inferred"]]
    assert [len(notes) for notes in told] == [0, 1, 0]
    assert "batches of 6 rows are filled up to 8 on 4 devices" in told[1][0]


def test_devices_are_compared_with_one_by_the_time_of_a_step(child):
    told = [[n for n in notes if " ms a step" in n] for notes in child["notes"]]
    assert [len(notes) for notes in told] == [0, 1]
    several, one = re.findall(r"(\S+) ms", told[1][0])[:2]
    pays = float(one) >= 1.1 * float(several)
    assert ("does not pay" in told[1][0]) == (not pays)


def test_a_mixture_is_the_same_mixture(child):
    assert child["mixtures apart"] < 1e-9
    assert np.ptp(child["mixtures"]) < 1e-9


def test_evidence_by_row_is_the_same(child):
    one, several = child["evaluated"]
    np.testing.assert_allclose(several, one, rtol=1e-12)


@pytest.mark.parametrize("devices", [0, -1, 10**6, "some", "", True])
def test_devices_that_there_are_not_are_refused(devices):
    with pytest.raises(taut.InputError, match='Try devices="all"') as refused:
        taut.fit(np.eye(9), devices=devices)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run, whose data have a name."""
    folder = tmp_path_factory.mktemp("devices")
    np.save(folder / "rows.npy", np.random.default_rng(0).normal(size=(60, 3)))
    taut.em(str(folder / "rows.npy"), components=1, out=folder / "run")
    return folder / "run"


@pytest.mark.parametrize("command", ["fit", "em", "evaluate", "audit", "resume", "infer"])
def test_more_devices_than_there_are_is_one_line_on_the_command_line(
    command, capsys, run, tmp_path
):
    there = len(jax.devices())
    asked = (
        [str(run)]
        if command in ("evaluate", "audit")
        else ["digits", "--out", str(tmp_path / "run")]
    )
    if command == "resume":
        stopped = tmp_path / "stopped"
        shutil.copytree(run, stopped)
        (stopped / "summary.json").unlink()
        asked = [str(stopped)]
    assert main([command, *asked, "--devices", f"{there + 1}"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("taut: devices: expected as many devices as there are or fewer")
    assert line.count("\n") == 1
    assert f"got {there + 1}. Try --devices all" in line
    assert not (tmp_path / "run").exists()
