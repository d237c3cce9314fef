"""Numbers of rows that are kept: what goes on makes the rest alone, to the same numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from taut.core import Datum
from taut.core.kept_rows import clock, keeping, kept_rows, part
from taut.evidence.importance import COLUMNS, Evidence, assembled
from taut.evidence.sweep import run, sweep
from taut.runs import KeptRows
from taut.runs import kept_rows as on_disk

COUNT, WIDTH = 10, 3


class Made:
    """Blocks of the squares of the rows' numbers; stopped before the block of one of them."""

    def __init__(self, stop: int = COUNT):
        self.firsts, self.stop = [], stop

    def __call__(self, begin: int) -> Iterator[dict[str, Any]]:
        for first in range(begin, COUNT, WIDTH):
            if first >= self.stop:
                raise KeyboardInterrupt
            self.firsts.append(first)
            numbers = np.arange(first, min(first + WIDTH, COUNT))
            yield {"squares": numbers**2, "features": np.outer(numbers, [1.0, 2.0])}


def keeper(folder, *, fingerprint="a", of="evaluate") -> KeptRows:
    return KeptRows(folder / "checkpoints", of=of, fingerprint=fingerprint)


def stopped(folder) -> None:
    """Two calls, the second one stopped after two blocks, in a part that has a name."""
    kept = keeper(folder)
    with keeping(kept), part("a method"):
        kept_rows(Made(), COUNT)
        with pytest.raises(KeyboardInterrupt):
            kept_rows(Made(stop=6), COUNT)
    assert kept.save()


def test_what_is_kept_is_not_made_again(tmp_path):
    stopped(tmp_path)
    kept, first, second, other = keeper(tmp_path), Made(), Made(), Made()
    with keeping(kept):
        with part("another"):  # which was not reached before
            kept_rows(other, COUNT)
        with part("a method"):
            found = [kept_rows(made, COUNT) for made in (first, second)]
        with part("a method"):  # a second time: another call
            kept_rows(other, COUNT)
    assert (first.firsts, second.firsts, other.firsts) == ([], [6, 9], 2 * [0, 3, 6, 9])
    for columns in found:
        whole = kept_rows(Made(), COUNT)  # nothing is kept outside
        assert all(np.array_equal(columns[n], whole[n]) for n in whole)
        assert {n: c.dtype for n, c in columns.items()} == {n: c.dtype for n, c in whole.items()}
    kept.drop()
    assert not list(tmp_path.iterdir())


def test_the_seconds_of_all_parts_are_credited(tmp_path, monkeypatch):
    """A command that is stopped again and again tells what all of its parts took."""
    now = [0.0]
    monkeypatch.setattr(on_disk.time, "perf_counter", lambda: now[0])

    def slowly(stop: int) -> Any:
        def make(begin: int) -> Iterator[dict[str, Any]]:
            for block in Made(stop)(begin):
                now[0] += 5
                yield block

        return make

    for stop in (3, 6, 9):
        kept = keeper(tmp_path)
        with keeping(kept), part("a method"), pytest.raises(KeyboardInterrupt):
            kept_rows(slowly(stop), COUNT)
        now[0] += 100  # between the parts
        assert kept.save()
    last = keeper(tmp_path)
    with keeping(last), part("a method"):
        kept_rows(slowly(COUNT), COUNT)
    assert last.credited == 15


def test_what_others_left_is_removed_and_not_used(tmp_path):
    stopped(tmp_path)
    left = next((tmp_path / "checkpoints").iterdir())
    mine = left.with_name("audit-0.safetensors")
    mine.write_bytes(left.read_bytes())
    left.write_bytes(left.read_bytes()[:-1])
    keeper(tmp_path)
    assert not left.exists()  # it is damaged
    made = Made()
    with keeping(keeper(tmp_path, fingerprint="b")), part("a method"):
        kept_rows(made, COUNT)
    assert made.firsts == [0, 3, 6, 9]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [mine.name]


def test_the_clock_counts_what_is_not_made_again(tmp_path, monkeypatch):
    now = 0.0
    for module in ("taut.core.kept_rows", "taut.runs.kept_rows"):
        monkeypatch.setattr(f"{module}.time.perf_counter", lambda: now)
    kept = keeper(tmp_path)
    with keeping(kept):
        made = Made()

        def slow(begin: int) -> Iterator[dict[str, Any]]:
            nonlocal now
            for block in made(begin):
                now += 5.0
                yield block

        kept_rows(slow, COUNT)
    assert list((tmp_path / "checkpoints").iterdir())  # without a last word
    now = 0.0
    with keeping(keeper(tmp_path)):
        began = clock()
        kept_rows(slow, COUNT)
        assert clock() - began == 20.0
    assert clock() == now


def test_a_folder_that_takes_no_files_keeps_nothing(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    kept = keeper(tmp_path)
    with keeping(kept):
        assert np.array_equal(kept_rows(Made(), COUNT)["squares"], np.arange(COUNT) ** 2)
    assert not kept.save()


def test_a_sweep_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(on_disk, "_SECONDS", 0.0)
    monkeypatch.setattr(on_disk, "_WRITING", 0.0)
    rows, seen = Datum(np.arange(7.0)), []

    def program(block: Datum, numbers: Any) -> dict[str, Any]:
        if len(seen) == 2:
            raise MemoryError  # as a kill: nothing is said
        seen.append(int(numbers[0]))
        return dict.fromkeys(COLUMNS, 2 * np.asarray(block.x))

    def finish(columns: dict[str, np.ndarray]) -> Evidence:
        return assembled(columns, rows, num_particles=10)

    swept = sweep(program, rows, width=3, columns=COLUMNS, finish=finish)
    with pytest.raises(MemoryError), keeping(keeper(tmp_path)):
        run(swept)
    seen.clear()
    with keeping(keeper(tmp_path)):
        assert np.asarray(run(swept).log_evidence.values).tolist() == list(2 * np.arange(7.0))
    assert seen == [6]
