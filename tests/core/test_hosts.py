"""Several hosts: they meet, disagree by name, fit as one does, and end together where one is lost."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hosts_child
import jax
import numpy as np
import pytest

import taut
from taut.cli.main import main
from taut.core import links
from taut.core.kept_rows import keeping, kept_rows
from taut.core.links import Watch, called, listened

HELLO = {"version of taut": "1", "number of hosts": 2}


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def met(*others: dict[str, Any], count: int = 2, seconds: float = 5.0) -> list[Any]:
    """What host 0 and each other one gets of a meeting: links, or the error."""
    port, found = free_port(), {}

    def kept(number: int, meet: Callable[[], Any]) -> None:
        try:
            found[number] = meet()
        except taut.TautError as error:
            found[number] = error

    def first() -> Any:
        where = f"127.0.0.1:{port}"
        there = listened(port, count, HELLO, where=where, seconds=seconds)
        for link in there.values():
            link.send({"coordinator": "there"})
        return there

    def other(given: dict[str, Any]) -> Any:
        index = given.pop("index", 1)
        return called(("127.0.0.1", port), index, HELLO | given, seconds=seconds)

    threads = [threading.Thread(target=kept, args=(0, first))]
    for number, given in enumerate(others, 1):
        threads.append(threading.Thread(target=kept, args=(number, lambda g=given: other(dict(g)))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[number] for number in sorted(found)]


def test_hosts_meet_and_hear_what_host_0_says():
    first, (link, told) = met({})
    assert set(first) == {1}
    assert told == {"coordinator": "there"}
    link.close()
    first[1].close()


def test_a_host_with_another_version_is_named_on_all():
    for error in met({"version of taut": "2"}):
        assert isinstance(error, taut.InputError)
        assert "the same version of taut on all hosts, got 2 on host 1, 1 on host 0" in str(error)


def test_a_number_given_twice_is_named():
    first, other = met({"index": 0})
    assert isinstance(other, taut.InputError)
    assert "host numbers 1 to 1, each once, got another host 0" in str(first)


def test_hosts_that_do_not_come_are_named_with_address_and_seconds():
    (error,) = met(count=3, seconds=0.3)
    assert isinstance(error, taut.RunError)
    assert "within 0.3 s, got no word from host 1, 2" in str(error)
    assert "127.0.0.1:" in str(error)


def test_a_coordinator_that_does_not_answer_is_named_with_address_and_seconds(capsys):
    port = free_port()
    with pytest.raises(taut.RunError, match=f"host 0 to answer at 127.0.0.1:{port} within 0.3 s"):
        called(("127.0.0.1", port), 1, HELLO, seconds=0.3)


def watched() -> tuple[Watch, Watch]:
    first, (link, _) = met({})
    return Watch(first, 0, 2), Watch({0: link}, 1, 2)


def lost(watch: Watch) -> str:
    for _ in range(200):
        if watch.lost is not None:
            return watch.lost
        time.sleep(0.02)
    raise AssertionError("nothing is lost")


@pytest.fixture
def ended(monkeypatch) -> list[int]:
    """Exit codes in place of the end of this process."""
    codes: list[int] = []
    monkeypatch.setattr(links, "_GRACE", 0.05)
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def test_values_that_differ_are_refused_on_all_hosts_and_equal_ones_on_none():
    first, other = watched()
    results: list[Any] = []

    def compare(watch: Watch, told: dict[str, Any]) -> None:
        try:
            results.append(watch.compare(told))
        except taut.InputError as error:
            results.append(error)

    for data in ("a", "b"):
        thread = threading.Thread(target=compare, args=(first, {"data": "a"}))
        thread.start()
        compare(other, {"data": data})
        thread.join(10)
    assert results[:2] == [None, None]
    for error in results[2:]:
        assert "the same data on all hosts, got b on host 1, a on host 0" in str(error)
    first.leave()
    other.leave()


def test_a_host_that_ends_or_falls_silent_ends_the_others(ended, monkeypatch, capsys):
    first, other = watched()
    other._left.set()
    other.links[0]._socket.shutdown(
        socket.SHUT_RDWR
    )  # as the system does for a process that is killed
    assert lost(first) == "host 1 of 2 ended without a word"
    time.sleep(0.3)
    assert ended == [1]
    first.leave()
    other.leave()
    line = capsys.readouterr().err
    assert line.startswith("taut: hosts: expected all hosts to the end, got host 1 of 2 ended")
    assert line.count("\n") == 1
    monkeypatch.setattr(links, "_SILENCE", 0.2)
    monkeypatch.setattr(links, "_BEAT", 60.0)  # as of a process that was stopped
    first, other = watched()
    assert lost(first) == "host 1 of 2 gave no sign of life for 0.2 s"
    for watch in (first, other):
        watch.leave()


def test_a_host_that_is_done_is_not_missed(ended):
    first, other = watched()
    other.leave()
    time.sleep(0.2)
    assert first.lost is None
    first.leave()


def test_an_error_of_one_host_is_told_by_the_others(ended):
    first, other = watched()
    other.leave("rows.csv: expected numbers, got text")
    assert lost(first) == "host 1 of 2 stopped: rows.csv: expected numbers, got text"
    failure = first.failure()
    assert failure is not None
    assert "stopped: rows.csv" in str(failure)
    first.leave()


BAD = {
    "address": (["--hosts", "somewhere"], "hosts: expected HOST:PORT"),
    "port": (["--hosts", "here:99999", "--host-count", "2"], "hosts: expected HOST:PORT"),
    "count": (["--hosts", "here:6000", "--host-index", "0"], "host-count: expected a number of hosts"),
    "one": (["--hosts", "h:1", "--host-index", "0", "--host-count", "1"], "host-count: expected"),
    "index": (
        ["--hosts", "h:1", "--host-index", "2", "--host-count", "2"],
        "host-index: expected the number of this host, from 0 to 1, got 2",
    ),
    "alone": (["--host-index", "1"], "host-index: expected --hosts beside --host-index, got none"),
    "auto": (["--hosts", "auto"], "hosts: expected SLURM, Kubernetes or MPI around this process"),
    "late": (
        ["--hosts", "h:1", "--host-index", "0", "--host-count", "2"],
        "hosts: expected a process that has not computed anything yet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_places_are_one_line(case, capsys):
    jax.devices()
    words, told = BAD[case]
    assert main(["fit", "digits", *words]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"taut: {told}")
    assert line.count("\n") == 1


def parameters(fit: taut.Fit) -> np.ndarray:
    leaves = [leaf for leaf in jax.tree.leaves(fit.pair) if isinstance(leaf, jax.Array)]
    return np.concatenate([np.asarray(leaf, float).ravel() for leaf in leaves])


def four_of_them(begin: int) -> Iterator[dict[str, Any]]:
    yield {"squares": hosts_child.SQUARES[begin:4]}
    raise KeyboardInterrupt


EVALUATED = ("--method", "importance", "--num-particles", "5")


def test_hosts_evaluate_as_one_and_one_host_goes_on_to_the_same_fit_where_another_is_lost(
    tmp_path, capsys
):
    """Two hosts through EM and an evaluation, then to step 9, where one is killed; one from step 8."""
    address, out, whole_out = f"127.0.0.1:{free_port()}", tmp_path / "run", tmp_path / "whole"
    np.save(tmp_path / "x.npy", hosts_child.X)
    whole = taut.fit(tmp_path / "x.npy", out=whole_out, **hosts_child.OPTIONS)
    kept = hosts_child.keeper(tmp_path)
    with keeping(kept), pytest.raises(KeyboardInterrupt):
        kept_rows(four_of_them, len(hosts_child.SQUARES))
    assert kept.save()
    child = str(Path(hosts_child.__file__))
    hosts = [
        subprocess.Popen(
            [sys.executable, child, address, str(index), str(tmp_path)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for index in (0, 1)
    ]  # fmt: skip
    (printed, told), (other_printed, _) = (host.communicate(timeout=300) for host in hosts)
    assert [host.returncode for host in hosts] == [1, -9], told
    mixture = taut.fit(hosts_child.X, **hosts_child.MIXTURE).estimates["log_evidence"].value
    told_by = [json.loads((tmp_path / f"told-{index}.json").read_text()) for index in (0, 1)]
    assert told_by[0]["clock"] == told_by[1]["clock"]
    for said in told_by:
        assert said["mixture"] == pytest.approx(mixture, rel=1e-9)
        assert (said["begins"], said["squares"]) == ([4], hosts_child.SQUARES.tolist())
    assert other_printed == ""
    together = json.loads(printed)["importance"]["log_evidence"]
    capsys.readouterr()
    assert main(["evaluate", str(whole_out), *EVALUATED, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)["importance"]["log_evidence"]
    for name in ("value", "data_error"):
        assert together[name] == pytest.approx(alone[name], rel=1e-9)
    assert told.count("\n") == 1, told
    assert "got host 1 of 2 ended without a word. Try `taut resume RUN`" in told
    assert (
        sorted(p.name for p in (out / "checkpoints").iterdir())[-1] == "step-000000008.safetensors"
    )
    resumed = taut.fit(hosts_child.X, out=out, resume=True, **hosts_child.OPTIONS)
    scale = np.abs(parameters(whole)).max()
    np.testing.assert_allclose(parameters(resumed), parameters(whole), rtol=0, atol=1e-9 * scale)
    assert [r["step"] for r in resumed.history] == [r["step"] for r in whole.history]
    assert resumed.facts.steps == whole.facts.steps > hosts_child.LOST_AT
