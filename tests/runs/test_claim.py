"""One process and one thread of it writes a run folder; whoever was killed keeps nothing."""

import json
import os
import platform
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from taut.core import InputError, Owner, this_process, write_atomically
from taut.runs import LOCK, RunFolder, claimed, claimed_next, lock_file

HOST = f"{zlib.crc32(platform.node().encode()):08x}"

# Several processes at once, made by forking one that has imported what it needs: each claims shared and
# numbered folders again and again, and sees whether it is alone in them.
MANY = """
import contextlib, json, os, sys, time
from pathlib import Path
from taut.core import InputError
from taut.runs import claimed, claimed_next, lock_file

folder, ways = Path(sys.argv[1]), sys.argv[2]
if ways == "without locks":
    lock_file._lock = lambda descriptor: None
def work(number):
    alone, held, refused, names = 0, 0, 0, []
    start = time.time() + 0.2
    time.sleep(max(0.0, start - time.time()))
    for turn in range(15):
        try:
            with claimed(folder / "shared"):
                inside = os.open(folder / "shared" / "inside", os.O_CREAT | os.O_EXCL)
                held += 1
                time.sleep(0.0005)
                os.close(inside)
                os.unlink(folder / "shared" / "inside")
        except InputError as error:
            assert "held by process" in str(error) or "just taken" in str(error), error
            refused += 1
        if turn < 3:
            with claimed_next(folder, "run") as path:
                os.close(os.open(path / "mine", os.O_CREAT | os.O_EXCL))
                names.append(path.name)
    (folder / f"said-{number}").write_text(json.dumps([held, refused, names]))
for number in range(6):
    if os.fork() == 0:
        try:
            work(number)
        except BaseException as error:
            (folder / f"said-{number}").write_text(json.dumps(repr(error)))
        os._exit(0)
for _ in range(6):
    os.wait()
"""


@pytest.mark.parametrize("ways", ["with locks", "without locks"])
def test_of_many_that_come_at_once_one_holds_a_folder(ways, tmp_path):
    subprocess.run([sys.executable, "-c", MANY, str(tmp_path), ways], check=True, timeout=60)
    said = [json.loads(path.read_text()) for path in tmp_path.glob("said-*")]
    assert len(said) == 6
    assert all(isinstance(each, list) for each in said), said
    assert sum(held for held, _, _ in said) > 6
    assert sum(refused for _, refused, _ in said) > 6
    names = [name for _, _, names in said for name in names]
    assert sorted(names) == sorted(f"run-{n}" for n in range(1, 19))
    assert not list(tmp_path.rglob(LOCK))


HOLD = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """A process that runs until it is killed, with whatever it holds."""
    processes = []

    def start(*words: str) -> subprocess.Popen:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _name_in(folder: Path, **changed: object) -> Path:
    """A file of a holder who is like this process but for what is given."""
    owner = this_process()._replace(**changed)
    content = {"owner": owner._asdict(), "since": "2026-01-02 03:04:05"}
    (folder / LOCK).write_text(json.dumps(content))
    return folder


def test_a_process_that_runs_is_named(tmp_path, other):
    process = other(sys.executable, "-c", HOLD, str(_name_in(tmp_path, pid=4711) / LOCK))
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError) as refused, claimed(tmp_path):
        pass
    words = f"got one held by process 4711 on {platform.node()} since 2026-01-02 03:04:05"
    assert words in str(refused.value)
    assert "Try again when it has ended, or another `out`." in str(refused.value)
    process.kill()
    process.wait()
    with claimed(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["owner"]["pid"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("locks", [True, False])
def test_a_holder_that_is_gone_keeps_nothing(locks, tmp_path, other, monkeypatch):
    """Neither one whose number another process has by now, nor one of before the last start."""
    if not locks:
        monkeypatch.setattr(lock_file, "_lock", lambda descriptor: None)
        monkeypatch.setattr(lock_file, "_SETTLED", 0.01)
    process = other("cat")
    for gone in ({"pid": process.pid}, {"boot": "another"}, {"pid": 2**22 + 1}):
        with claimed(_name_in(tmp_path, **gone)):
            assert json.loads((tmp_path / LOCK).read_text())["owner"]["pid"] == os.getpid()
    (tmp_path / LOCK).write_text("")  # killed before it had written its name
    os.utime(tmp_path / LOCK, (0, 0))
    with claimed(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_locks_a_process_that_runs_still_counts(tmp_path, other, monkeypatch):
    from taut.core.owners import began

    monkeypatch.setattr(lock_file, "_lock", lambda descriptor: None)
    process = other("cat")
    _name_in(tmp_path, pid=process.pid, began=began(process.pid))
    with pytest.raises(InputError, match=f"held by process {process.pid}"), claimed(tmp_path):
        pass
    (tmp_path / LOCK).write_text("")
    with pytest.raises(InputError, match="just taken"), claimed(tmp_path):
        pass


def test_of_another_machine_nothing_is_known(tmp_path):
    _name_in(tmp_path, host="node7", boot="its own")
    with pytest.raises(InputError) as refused, claimed(tmp_path):
        pass
    assert "on node7 since 2026-01-02" in str(refused.value)
    assert f"if that process no longer runs, removing {tmp_path / LOCK}" in str(refused.value)
    (tmp_path / LOCK).unlink()
    with claimed(tmp_path):
        pass


def test_a_thread_may_claim_again_and_another_may_not(tmp_path):
    said = []

    def claim() -> None:
        try:
            with claimed(tmp_path):
                said.append("held")
        except InputError as error:
            said.append(str(error))

    with claimed(tmp_path), claimed(tmp_path / "." / ".." / tmp_path.name):
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join()
        claim()
        assert (tmp_path / LOCK).exists()
    assert f"held by process {os.getpid()}" in said[0]
    assert said[1:] == ["held"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_claim_made_goes_with_it_unless_it_is_used(tmp_path):
    with claimed(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path / "a" / "b") as folder:
        (folder / "kept").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]


def test_the_current_folder_and_one_that_is_there_are_held_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    run = RunFolder.create(Path(), {"a": 1})
    assert tmp_path.stat().st_ino == before
    assert run.read_config() == {"a": 1}
    (tmp_path / "volume" / "lost+found").mkdir(parents=True)
    assert RunFolder.create(tmp_path / "volume", {}).is_run


def test_a_number_is_taken_when_a_folder_is_there(tmp_path):
    with (
        claimed_next(tmp_path, "digits-vae") as first,
        claimed_next(tmp_path, "digits-vae") as second,
    ):
        assert (first.name, second.name) == ("digits-vae-1", "digits-vae-2")
        (second / "kept").touch()
    with claimed_next(tmp_path, "digits-vae") as again:
        assert again.name == "digits-vae-1"
    with claimed_next(tmp_path, "my data/x.csv-vae") as odd:
        assert odd.name == "my-data-x-csv-vae-1"
    (tmp_path / "digits-vae-1").mkdir()
    _name_in(tmp_path / "digits-vae-1", pid=2**22 + 1)  # killed before it had begun
    with claimed_next(tmp_path, "digits-vae") as abandoned:
        assert abandoned.name == "digits-vae-1"


def test_what_a_killed_process_has_left_half_written_goes(tmp_path, other):
    process = other("cat")
    names = []
    for folder in (tmp_path, tmp_path / "figures"):
        folder.mkdir(exist_ok=True)
        left = this_process()._replace(pid=process.pid)
        names.append(folder / f".model.json.taut-{HOST}-{left.pid}-{left.began}-a_b1c2d3")
    names.append(tmp_path / ".model.json.x1y2z3ab")  # not taut's
    writing = tmp_path / f".khat.png.taut-{HOST}-{os.getpid()}-{this_process().began}-a_b1c2d3"
    for path in (*names, writing):
        path.write_bytes(b"half")
    with claimed(tmp_path):
        assert [path.exists() for path in names] == [False, False, True]
        assert writing.exists()


def test_a_file_that_is_being_written_says_whose_it_is(tmp_path):
    def look(file) -> None:
        (name,) = (path.name for path in tmp_path.iterdir())
        assert name.startswith(f".model.json.taut-{HOST}-{os.getpid()}-{this_process().began}-")

    write_atomically(tmp_path / "model.json", look)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="expected a folder that can be written, got"),
        claimed(tmp_path / "file" / "run"),
    ):
        pass

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("taut.runs.claim.take", refuse)
    with (
        pytest.raises(InputError, match=r"got Permission denied\. Try another `out`"),
        claimed(tmp_path),
    ):
        pass


def test_a_folder_that_another_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    """Between any two looks at it: whoever made it without need takes it away again."""
    folder = tmp_path / "run"
    mkdir, moments = Path.mkdir, iter([True, False])

    def made_and_removed(path, *arguments) -> None:
        if next(moments, False):
            raise FileExistsError
        mkdir(path, *arguments)

    monkeypatch.setattr(Path, "mkdir", made_and_removed)
    with claimed(folder):
        assert (folder / LOCK).exists()
    listdir = os.listdir

    def removed_before(path) -> list[str]:
        monkeypatch.setattr(os, "listdir", listdir)
        path.rmdir()
        return listdir(path)

    (tmp_path / "run-1").mkdir()
    monkeypatch.setattr(os, "listdir", removed_before)
    with claimed_next(tmp_path, "run") as first:
        assert first.name == "run-1"


@pytest.mark.parametrize("name", ["run", "run/inner"])
def test_a_link_to_nothing_is_no_folder(name, tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with (
        pytest.raises(InputError, match="got something else of that name"),
        claimed(tmp_path / name),
    ):
        pass


def test_a_process_is_known_by_its_number_and_its_beginning(other):
    from taut.core.owners import began

    process = other("cat")
    word = began(process.pid)
    assert word == began(process.pid) != ""
    assert not Owner(*this_process()[:2], process.pid, word).is_gone
    assert Owner(*this_process()[:2], process.pid, word + "1").is_gone
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert began(process.pid) == ""  # it has ended, though nobody has waited for it
