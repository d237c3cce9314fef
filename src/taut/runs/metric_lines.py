"""metrics.jsonl: one line a step, oldest first."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from taut.core import Estimate, InputError, counted, option, write_atomically
from taut.core.json_numbers import finite_or_none
from taut.runs.reading import DAMAGE, reading

__all__ = ["append_lines", "flush_lines", "keep_lines", "read_lines"]


def append_lines(
    path: Path, first: int, metrics: Mapping[str, np.ndarray], validation: Estimate | None
) -> None:
    """Add a line for each of the consecutive steps `first`, `first + 1`, ...

    Arguments:
        path: of the file.
        first: the first step's number.
        metrics: for each name a value a step; what is not finite is written as null.
        validation: of the last of the steps.
    """
    columns = {name: np.asarray(values, np.float64).tolist() for name, values in metrics.items()}
    count = len(next(iter(columns.values())))
    lines: list[dict[str, Any]] = [
        {
            "step": first + i,
            **{n: finite_or_none(c[i]) for n, c in columns.items()},
        }
        for i in range(count)
    ]
    if validation is not None:
        lines[-1]["validation"] = validation.to_dict()
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def flush_lines(path: Path) -> None:
    """Wait until the lines are on the disk."""
    with path.open("a") as file:
        os.fsync(file.fileno())


def keep_lines(path: Path, count: int, *names: str) -> list[dict[str, Any]]:
    """Drop the lines from step `count` on, and a last one that was cut off; the lines that stay.

    Arguments:
        path: of the file.
        count: lines to keep.
        names: that every line must have beside the step.

    Raises:
        InputError: lines of earlier steps are missing.
    """
    text = path.read_text(errors="replace") if path.is_file() else ""
    lines = text.split("\n")[: min(count, text.count("\n"))]
    try:
        steps = [_record(line, *names) for line in lines]
        whole = [record["step"] for record in steps] == list(range(count))
    except DAMAGE:
        steps, whole = [], False
    if not whole:
        raise InputError(
            f"a line for each of the {counted(count, 'step')} before the checkpoint",
            counted(len(steps), "line"),
            f"a backup of the file, or fitting again with {option('force', True)}", where=str(path),
        )  # fmt: skip
    kept = "".join(line + "\n" for line in lines)
    write_atomically(path, lambda file: file.write(kept.encode()))
    return steps


def read_lines(path: Path, *names: str) -> list[dict[str, Any]]:
    """The lines, without a last one that was cut off.

    Arguments:
        path: of the file.
        names: that every line must have beside the step.

    Raises:
        InputError: a line is not what taut wrote.
    """
    if not path.exists():
        return []
    with reading(path):
        lines = path.read_text().split("\n")[:-1]
        return [_record(line, *names) for line in lines]


def _record(line: str, *names: str) -> dict[str, Any]:
    """A step: numbers by name, null where one was not finite, and perhaps an estimate.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    record = json.loads(line)
    for name in ("step", *names):
        if name not in record:
            raise KeyError(name)
    for name, value in record.items():
        if name == "validation":
            Estimate.from_dict(value)
        elif not isinstance(value, int | float | None):
            raise TypeError(f"{name} is no number")
    return record
