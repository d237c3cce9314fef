"""Where a fit begins: with an empty run folder, or at the last checkpoint of one."""

import contextlib
import json
import tomllib
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from taut.core import InputError, option
from taut.data import Data, Dataset
from taut.errors import TautError
from taut.inference import Algorithm
from taut.runs import RunFolder, restore_checkpoint, to_toml
from taut.training import TrainingState, start

__all__ = [
    "RESUMED", "as_begun", "asked_options", "begin", "begun_run", "discarded", "fingerprint",
]  # fmt: skip

RESUMED = "resumed; the seconds are those since then"

_MEASURED = "evidence"  # the table of options that say how the model is measured once it is trained
_SOURCES = ("data", "data.source")  # options that say where the data are
_SAMPLE = 1000  # rows of a file on disk that stand for it


def begin(
    out: Path | str | None,
    settings: Mapping[str, Any],
    algorithm: Algorithm,
    data: Data,
    *,
    force: bool,
    resume: bool,
    key: int | None = None,
) -> tuple[RunFolder | None, list[dict[str, Any]], TrainingState | None, tuple[str, ...]]:
    """A new run folder, or an old one as its last checkpoint saw it.

    Arguments:
        out: the folder; None for none.
        settings: what config.toml holds.
        algorithm: whose state is restored.
        data: what the run is about.
        force: replace a run that is there.
        resume: go on with it instead.
        key: as of `fingerprint`.

    Returns:
        run folder, records of the steps so far, the state to go on from (None for the start), notes.

    Raises:
        InputError: nothing to go on with, a finished run, or other data or options than it began with.
    """
    run = begun_run(out, settings, force=force, resume=resume)
    if run is None or not resume:
        return run, [], None, ()
    mark = fingerprint(data, as_begun(settings, run), key=key)
    found = restore_checkpoint(run.checkpoints, start(algorithm), fingerprint=mark)
    step = 0 if found.state is None else int(found.state.step)
    note = f"resumed from step {step}"
    return run, run.keep_steps(step, "bound"), found.state, (*found.notes, note)


def begun_run(
    out: Path | str | None,
    settings: Mapping[str, Any],
    *,
    force: bool,
    resume: bool,
    moving: Collection[str] = (),
) -> RunFolder | None:
    """A new run folder, or an unfinished one with the same options; arguments as of `begin`.

    How the model is measured at the end may change, too, and where the file of the data is.

    Arguments:
        moving: options that may have changed since; the folder then has the new ones.

    Raises:
        InputError: nothing to go on with, a finished run, or other options than it began with.
    """
    if not resume:
        return None if out is None else RunFolder.create(out, settings, force=force)
    if out is None:
        raise InputError(
            "the run folder to go on with", "none", option("out", "RUN"), where="resume"
        )
    run = RunFolder.to_resume(out)
    if run.is_finished:
        raise InputError(
            "a run that is not finished", "one with summary.json", f"`taut show {out}`",
            where=str(out),
        )  # fmt: skip
    saved = _entries(run.read_config())
    given = _entries(tomllib.loads(to_toml(settings)))
    for name in sorted(saved.keys() | given.keys()):
        same = saved.get(name) == given.get(name)
        moved = name in _SOURCES and _is_moved(saved.get(name), given.get(name))
        if not (same or moved or name in moving or name.startswith(f"{_MEASURED}.")):
            raise InputError(
                f"{_in_words(name)} = {saved.get(name)}, as the run began", f"{given.get(name)}",
                "the same options, or a new run", where=str(out),
            )  # fmt: skip
    if saved != given:
        run.write_config(as_begun(settings, run))
    return run


def as_begun(settings: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Options in the words of a run's config.toml where these ask for the same, as 1 does for 1.0: what
    the run keeps is known by them."""
    return _worded_as(tomllib.loads(to_toml(settings)), run.read_config())


def _worded_as(given: Any, saved: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(saved, Mapping):
        return {name: _worded_as(value, saved.get(name)) for name, value in given.items()}
    return saved if given == saved else given


@contextlib.contextmanager
def discarded(run: RunFolder | None) -> Iterator[None]:
    """Where a new run that ends in an error takes its folder away again: going on would end so, too.

    Arguments:
        run: its folder; None to take nothing away. It stays where the disk was full.
    """
    try:
        yield
    except TautError as error:
        if run is not None and not isinstance(error.__cause__, OSError):
            run.discard()
        raise


def _is_moved(before: Any, now: Any) -> bool:
    """Whether a file of the same name is named, and the one that was named is no longer there."""
    if not isinstance(before, str) or not isinstance(now, str):
        return False
    return Path(before).name == Path(now).name and not Path(before).exists()


def _entries(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table by dotted names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _entries(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def asked_options(settings: Mapping[str, Any]) -> dict[str, str]:
    """The options of a recipe by dotted names, in words, without the place of the data."""
    found = _entries(tomllib.loads(to_toml(settings)))
    return {_in_words(n): f"{value}" for n, value in found.items() if n not in _SOURCES}


def _in_words(name: str) -> str:
    """A dotted name as an option: that of a choice, or of the source, is the table's."""
    table, _, last = name.rpartition(".")
    return table if last in ("name", "source") else last


def fingerprint(data: Data, settings: Mapping[str, Any], *, key: int | None = None) -> str:
    """Changes with the rows, their form, and the options that touch training.

    Of rows on disk a sample stands for all. Where their file lies is not looked at. Labels belong to the
    rows where they are to be predicted.

    Arguments:
        data: the rows.
        settings: what config.toml holds.
        key: drawn from a random key that no setting holds; None where a seed is among them.
    """
    options = {name: value for name, value in settings.items() if name != _MEASURED}
    options |= {} if key is None else {"key": key}
    if isinstance(source := options.get("data"), Mapping):
        options["data"] = {name: value for name, value in source.items() if name != "source"}
    described = json.dumps(data.schema.to_dict(), sort_keys=True) + to_toml(options)
    sums = [zlib.crc32(described.encode())]
    train = data.train.sample(_SAMPLE if data.streamed else len(data.train))
    parts = (train, data.validation, data.test)
    sums += [len(data.train), *map(_sum_of, parts)]
    return "-".join(f"{total:08x}" for total in sums)


def _sum_of(rows: Dataset) -> int:
    """CRC-32 of the rows' values and of labels that are a target, one part after another."""
    total = 0
    for part in rows.parts():
        total = zlib.crc32(part.x.tobytes(), total)
        if rows.schema.target is not None and part.label is not None:
            total = zlib.crc32(part.label.tobytes(), total)
    return total
