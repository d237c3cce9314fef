"""The run folder: everything about one fit, in files that other programs can read.

config.toml          what to type to repeat it
metrics.jsonl        one line a step: step, bound (null where the step was rejected), and validation
                     where it was looked at
checkpoints/         the newest two states of the training
model.safetensors    arrays, and
model.json           structure
summary.json         every Estimate with its side and errors
rows.safetensors     their per-row values, for paired differences
draws.safetensors    weighted draws of a posterior, and
coordinates.csv      their moments
figures/

A folder appears with its config.toml inside, in one step, so whatever stops a run leaves one that
`taut resume` can go on with.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taut.core import Estimate, InputError, far_rows_of, option, write_atomically, write_json
from taut.runs.packed import packed, unpacked
from taut.runs.toml import read_toml, to_toml

__all__ = ["RunFolder", "next_run"]


@dataclass(frozen=True)
class RunFolder:
    """A run folder at a path; methods raise `InputError` when it is not one."""

    path: Path

    @classmethod
    def create(
        cls, path: Path | str, settings: Mapping[str, Any], *, force: bool = False
    ) -> "RunFolder":
        """A run folder without steps.

        Arguments:
            path: where.
            settings: what config.toml will hold.
            force: replace a run that is there.

        Raises:
            InputError: see `check_free`.
        """
        cls.check_free(path, force=force)
        run = cls(Path(path))
        run.path.parent.mkdir(parents=True, exist_ok=True)
        # Built beside and renamed: a run folder never lacks its config.toml.
        scratch = Path(tempfile.mkdtemp(prefix=f".{run.path.name}.", dir=run.path.parent))
        new = cls(scratch / "new")
        new.figures.mkdir(parents=True)
        new.write_config(settings)
        (new.path / "metrics.jsonl").touch()
        try:
            if run.path.exists():
                run.path.rename(scratch / "old")
            os.replace(new.path, run.path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return run

    @classmethod
    def check_free(cls, path: Path | str, *, force: bool = False) -> None:
        """Refuse a path that a new run must not take.

        Raises:
            InputError: the path holds a run and `force` is False, or holds something else.
        """
        run = cls(Path(path))
        if run.path.exists() and not run.path.is_dir():
            raise InputError("a folder", "a file", f"another {option('out')}", where=str(path))
        if not run.path.is_dir() or not any(run.path.iterdir()):
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

    @classmethod
    def claim(cls, path: Path | str, *, force: bool = False) -> Path:
        """Where a result that exists only in memory is to be written, which must not be lost.

        Returns:
            the path, or, where it is taken, a free one beside it.
        """
        try:
            cls.check_free(path, force=force)
        except InputError:
            return next_run(Path(path).parent, Path(path).name)
        return Path(path)

    @classmethod
    def refuse_taken(cls, path: Path | str, written: Path) -> None:
        """Say that a result was written beside a path that is taken, if it was.

        Raises:
            InputError: it was.
        """
        if written == Path(path):
            return
        remedy = f"another path, or {option('force', True)} to replace the run that is there"
        try:
            cls.check_free(path)
        except InputError as taken:
            expected, got, _ = taken.parts
            raise InputError(
                expected, f"{got}; what was to be saved is kept in {written}",
                remedy if cls(Path(path)).is_run else "another path", where=str(path),
            ) from None  # fmt: skip

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """An existing run.

        Raises:
            InputError: there is none, or one of its folders, where files are replaced, lies elsewhere.
        """
        run = cls(Path(path))
        if not run.is_run:
            found = "a folder without config.toml" if run.path.is_dir() else "nothing there"
            raise InputError(
                "a run folder",
                found,
                f"fitting first, with {option('out', 'RUN')}",
                where=str(path),
            )
        for within in (run.figures, run.checkpoints):
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
        """True when the last file of a run, its summary, is there."""
        return (self.path / "summary.json").is_file()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def write_config(self, settings: Mapping[str, Any]) -> None:
        text = to_toml(settings)
        write_atomically(self.path / "config.toml", lambda file: file.write(text.encode()))

    def read_config(self) -> dict[str, Any]:
        return read_toml(self.path / "config.toml")

    def append_steps(
        self, first: int, metrics: Mapping[str, np.ndarray], validation: Estimate | None
    ) -> None:
        """Add a line for each of the consecutive steps `first`, `first + 1`, ..."""
        columns = {
            name: np.asarray(values, np.float64).tolist() for name, values in metrics.items()
        }
        count = len(next(iter(columns.values())))
        lines: list[dict[str, Any]] = [
            {
                "step": first + i,
                **{n: c[i] if math.isfinite(c[i]) else None for n, c in columns.items()},
            }
            for i in range(count)
        ]
        if validation is not None:
            lines[-1]["validation"] = validation.to_dict()
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def flush_steps(self) -> None:
        """Wait until metrics.jsonl is on the disk, before a checkpoint that counts on it."""
        with (self.path / "metrics.jsonl").open("a") as file:
            os.fsync(file.fileno())

    def keep_steps(self, count: int) -> list[dict[str, Any]]:
        """Drop the lines from step `count` on, and a last one that was cut off; the lines that stay.

        Raises:
            InputError: lines of earlier steps are missing.
        """
        path = self.path / "metrics.jsonl"
        text = path.read_text() if path.is_file() else ""
        lines = text.split("\n")[: min(count, text.count("\n"))]
        try:
            steps = [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            steps = []
        if [record["step"] for record in steps] != list(range(count)):
            raise InputError(
                f"a line for each of the {count} steps before the checkpoint", f"{len(steps)} lines",
                f"a backup of the file, or fitting again with {option('force', True)}", where=str(path),
            )  # fmt: skip
        kept = "".join(line + "\n" for line in lines)
        write_atomically(path, lambda file: file.write(kept.encode()))
        return steps

    def read_steps(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, oldest first."""
        path = self.path / "metrics.jsonl"
        return (
            [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        )

    def write_summary(self, estimates: Mapping[str, Estimate], facts: Mapping[str, Any]) -> None:
        """Write summary.json, and the per-row values beside it."""
        arrays = {}
        for name, estimate in estimates.items():
            if estimate.values is not None:
                arrays[name] = estimate.values
                if estimate.index is not None:
                    arrays[f"{name}/index"] = np.asarray(estimate.index)
        write_atomically(self.path / "rows.safetensors", lambda file: file.write(packed(arrays)))
        content = {
            "estimates": {name: estimate.to_dict() for name, estimate in estimates.items()},
            "far_rows": {name: far.to_dict() for name, far in far_rows_of(estimates).items()},
            "facts": dict(facts),
        }
        write_json(self.path / "summary.json", content)

    def read_summary(self) -> tuple[dict[str, Estimate], dict[str, Any]]:
        """The estimates, with their per-row values, and the facts.

        Raises:
            InputError: the run was not finished.
        """
        try:
            content = json.loads((self.path / "summary.json").read_text())
            arrays = unpacked((self.path / "rows.safetensors").read_bytes())
        except FileNotFoundError as error:
            missing = Path(error.filename).name if error.filename else "summary.json"
            raise InputError(
                "a finished run",
                f"no {missing}",
                f"`taut resume {self.path}`",
                where=str(self.path),
            ) from None
        estimates = {
            name: Estimate.from_dict(c, values=arrays.get(name), index=arrays.get(f"{name}/index"))
            for name, c in content["estimates"].items()
        }
        return estimates, content["facts"]


def next_run(parent: Path | str, name: str) -> Path:
    """The first of name-1, name-2, ... that is not there yet; odd characters become hyphens."""
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-") or "run"
    number = 1
    while (Path(parent) / f"{stem}-{number}").exists():
        number += 1
    return Path(parent) / f"{stem}-{number}"
