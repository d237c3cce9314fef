"""The run folder: everything about one fit, in files that other programs can read.

config.toml          what to type to repeat it
metrics.jsonl        one line a step: step, bound (null where the step was rejected), and validation
                     where it was looked at
checkpoints/         the newest two states of the training
model.safetensors    arrays, and
model.json           structure
summary.json         every Estimate with its side and errors
rows.safetensors     their per-row values, for paired differences
predictor.safetensors  what predicts a target
draws.safetensors    weighted draws of a posterior, and
coordinates.csv      their moments
figures/

One process writes it at a time (see `claim`). It is a run from the moment at which its config.toml is
there, with nothing missing that `taut resume` needs, so whatever stops a run leaves one to go on with.
One that replaces another is written within it, and takes its place when it is whole (see `replacing`).
What is not taut's own in the folder stays as it is (see `own_files`).
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taut.core import Estimate, InputError, far_rows_of, option, sweep, write_atomically
from taut.errors import TautError, refuse_unheard
from taut.runs.claim import claimed, claimed_next
from taut.runs.metric_lines import append_lines, flush_lines, keep_lines, read_lines
from taut.runs.own_files import NEXT, own_files, what_is_there
from taut.runs.packed import packed
from taut.runs.reading import (
    FORMAT,
    SEALED,
    read_arrays,
    read_json,
    reading,
    write_sealed_json,
)
from taut.runs.replacing import is_between, move_up
from taut.runs.resumed_by import resumed_by
from taut.runs.toml import read_toml, to_toml

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """A run folder at a path; methods raise `InputError` when it is not one."""

    path: Path

    @classmethod
    @contextlib.contextmanager
    def for_writing(
        cls, path: Path | str | None, *, force: bool = False, resume: bool = False
    ) -> Iterator[None]:
        """Hold the folder of a run that begins, replaces another or goes on, while the block runs.

        Called before anything is computed. The thread that holds a folder may hold it again. A run that
        replaces another takes its place where the block leaves it finished; where the block ends in an
        error it goes, unless the disk was full. What stops the block otherwise leaves both.

        Arguments:
            path: of the folder; None for a run that writes nothing.
            force: a run that is there will be replaced, by what `create` begins.
            resume: the run that is there goes on.

        Raises:
            InputError: see `check_free` and `open`; or another process holds it (see `claimed`); `force`
                without a folder.
        """
        if path is None:
            refuse_unheard({"force": force or None}, f"{option('out')}, the run to replace", "none")
            yield
            return
        run = cls(Path(path))

        def check() -> None:
            cls.open(path) if resume else cls.check_free(path, force=force)

        if not is_between(run.path):
            check()  # first, so that nothing is touched in a folder that is not a run's
        with claimed(path):
            run._settle()
            check()
            before = run._replacement_begun
            try:
                yield
            except TautError as error:
                begun = run._replacement_begun != before
                if begun and not isinstance(error.__cause__, OSError):
                    run.replacement.discard()
                raise
            run._settle()

    @classmethod
    def create(
        cls, path: Path | str, settings: Mapping[str, Any], *, force: bool = False
    ) -> "RunFolder":
        """A run folder without steps, within the one of a run that it replaces.

        Arguments:
            path: where.
            settings: what config.toml will hold.
            force: replace a run that is there; files that are not taut's own stay.

        Raises:
            InputError: see `for_writing`.
        """
        with cls.for_writing(path, force=force):
            run = cls(Path(path))
            if run.is_run:
                run = run.replacement
                run.discard()  # one that was stopped, and did not go on
                run.path.mkdir()
            try:
                write_atomically(run.metrics, lambda file: None)
                run.figures.mkdir(exist_ok=True)
                run.write_config(settings)  # last: from here on it is the new run
            except OSError:
                run.discard()
                raise
            return run

    @classmethod
    def to_resume(cls, path: Path | str) -> "RunFolder":
        """The run of a folder that can go on: one that was to replace another, if there is one.

        Raises:
            InputError: see `open`.
        """
        run = cls(Path(path))
        if run.replacement.path.is_dir():
            with cls.for_writing(path, resume=True):  # which moves one that is whole
                pass
        run = cls.open(path)
        return cls.open(run.replacement.path) if run.replacement.is_run else run

    @classmethod
    def check_free(cls, path: Path | str, *, force: bool = False) -> None:
        """Refuse a path that a new run must not take.

        Raises:
            InputError: the path holds a run and `force` is False, or holds something else.
        """
        run = cls(Path(path))
        if run.path.exists() and not run.path.is_dir():
            raise InputError("a folder", "a file", f"another {option('out')}", where=str(path))
        if not run.path.is_dir() or not what_is_there(run.path):
            return
        if not run.is_run:
            raise InputError(
                "an empty folder or a run",
                "a folder with other files",
                f"another {option('out')}",
                where=str(path),
            )
        if not force:
            raise InputError(
                "a folder without a run",
                "one that holds a run",
                f"another {option('out')}, or {option('force', True)} to replace it",
                where=str(path),
            )
        cls.open(path)

    @classmethod
    @contextlib.contextmanager
    def for_saving(cls, path: Path | str, *, force: bool = False) -> Iterator[Path]:
        """Hold a folder for a result that exists only in memory, which must not be lost.

        Hands out the path, or, where it is taken, a free one beside it; the second is an error once the
        result is written there.

        Raises:
            InputError: the result was written beside the path, which holds a run (see `force`) or
                something else, or which another process holds.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(cls.for_writing(path, force=force))
                written, taken = Path(path), None
            except InputError as error:
                beside = claimed_next(Path(path).parent, Path(path).name)
                written, taken = stack.enter_context(beside), error
            yield written
            cls(written)._settle(whole=True)
        if taken is None:
            return
        expected, got, _ = taken.parts
        replaces = cls(Path(path)).is_run and not force
        raise InputError(
            expected, f"{got}; what was to be saved is kept in {written}",
            "another path" + f", or {option('force', True)} to replace the run that is there" * replaces,
            where=str(path),
        )  # fmt: skip

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """An existing run.

        Raises:
            InputError: there is none, or one of its folders, where files are replaced, lies elsewhere.
        """
        run = cls(Path(path))
        if is_between(run.path):
            raise InputError(
                "a run", "one that another was just taking the place of", resumed_by(run.path),
                where=str(path),
            )  # fmt: skip
        if not run.is_run:
            found = "a folder without config.toml" if run.path.is_dir() else "nothing there"
            raise InputError(
                "a run folder",
                found,
                f"fitting first, with {option('out', 'RUN')}",
                where=str(path),
            )
        for within in (run.figures, run.checkpoints, run.replacement.path):
            if within.is_symlink():
                raise InputError(
                    f"{within.name} to be a folder within the run", f"a link to {within.readlink()}",
                    "removing the link, or moving what it leads to in its place", where=str(path),
                )  # fmt: skip
        return run

    @property
    def is_run(self) -> bool:
        """True for a folder that taut wrote: it has config.toml and metrics or a model."""
        has = [(self.path / name).is_file() for name in ("metrics.jsonl", "model.json")]
        return (self.path / "config.toml").is_file() and any(has)

    @property
    def is_finished(self) -> bool:
        """True when its summary is there and whole, and has what was measured at the end."""
        try:
            self.read_summary(with_rows=False)
        except InputError:
            return False
        return True

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def replacement(self) -> "RunFolder":
        """The run that is to take the place of this one, if there is one."""
        return RunFolder(self.path / NEXT)

    @property
    def _replacement_begun(self) -> tuple[int, int] | None:
        """Tells one beginning of a replacement from another; None where there is none."""
        with contextlib.suppress(OSError):
            found = (self.replacement.path / "config.toml").stat()
            return found.st_ino, found.st_mtime_ns
        return None

    def _settle(self, *, whole: bool = False) -> None:
        """Move a replacement up that is whole, or on whose way up someone was stopped.

        Arguments:
            whole: it is, though nothing of it was measured.
        """
        new = self.replacement
        if not new.path.is_dir():
            return
        sweep(new.path)
        sweep(new.checkpoints)
        if is_between(self.path) or (new.is_run and (whole or new.is_finished)):
            move_up(self.path)
        elif not (new.path / "config.toml").is_file():
            new.discard()  # stopped in its first moment

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints, and their folder if nothing else is in it."""
        for path in self.checkpoints.glob("*.safetensors"):
            path.unlink()
        with contextlib.suppress(OSError):
            self.checkpoints.rmdir()

    def discard(self) -> None:
        """Remove what taut wrote, and the folders in it that are empty then."""
        for path in own_files(self.path):
            path.unlink()
        self.drop_checkpoints()
        with contextlib.suppress(OSError):
            self.figures.rmdir()
        if self.path.name == NEXT:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def write_config(self, settings: Mapping[str, Any]) -> None:
        text = to_toml(settings)
        write_atomically(self.path / "config.toml", lambda file: file.write(text.encode()))

    def read_config(self) -> dict[str, Any]:
        return read_toml(self.path / "config.toml")

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def append_steps(
        self, first: int, metrics: Mapping[str, np.ndarray], validation: Estimate | None
    ) -> None:
        """See `append_lines`."""
        append_lines(self.metrics, first, metrics, validation)

    def flush_steps(self) -> None:
        """Wait until metrics.jsonl is on the disk, before a checkpoint that counts on it."""
        flush_lines(self.metrics)

    def keep_steps(self, count: int, *names: str) -> list[dict[str, Any]]:
        """See `keep_lines`."""
        return keep_lines(self.metrics, count, *names)

    def read_steps(self, *names: str) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, with these names; see `read_lines`."""
        return read_lines(self.metrics, *names)

    def write_summary(self, estimates: Mapping[str, Estimate], facts: Mapping[str, Any]) -> None:
        """Write summary.json, and the per-row values beside it.

        Arguments:
            estimates: none of a run that is trained and not yet measured.
            facts: as JSON holds them.
        """
        arrays = {}
        for name, estimate in estimates.items():
            if estimate.values is not None:
                arrays[name] = estimate.values
                if estimate.index is not None:
                    arrays[f"{name}/index"] = np.asarray(estimate.index)
        write_atomically(self.path / "rows.safetensors", lambda file: file.write(packed(arrays)))
        content = {
            "format": FORMAT,
            "estimates": {name: estimate.to_dict() for name, estimate in estimates.items()},
            "far_rows": {name: far.to_dict() for name, far in far_rows_of(estimates).items()},
            "facts": dict(facts),
        }
        write_sealed_json(self.path / "summary.json", content)

    def read_summary(
        self, *, measured: bool = True, with_rows: bool = True
    ) -> tuple[dict[str, Estimate], dict[str, Any]]:
        """The estimates and the facts.


        Arguments:
            measured: refuse a run that is trained and not yet measured.
            with_rows: read the per-row values of the estimates, too.

        Raises:
            InputError: the run was not finished, or a file is not what taut wrote.
        """
        path = self.path / "summary.json"
        again = f"{resumed_by(self.path)}, or a backup of the file"
        content = read_json(path, remedy=again)
        arrays: dict[str, np.ndarray] = {}
        if with_rows:
            sealed = content.get("format", 0) >= SEALED
            arrays = read_arrays(self.path / "rows.safetensors", sealed=sealed)
        with reading(path, remedy=again):
            estimates = {
                name: Estimate.from_dict(
                    c, values=arrays.get(name), index=arrays.get(f"{name}/index")
                )
                for name, c in content["estimates"].items()
            }
            facts = dict(content["facts"])
        if measured and not estimates:
            raise InputError(
                "a finished run", "one whose model was not measured yet", resumed_by(self.path),
                where=str(self.path),
            )  # fmt: skip
        return estimates, facts
