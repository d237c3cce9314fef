"""The eleven posteriors of posteriordb: their programs, their data and their reference moments."""

import json
import os
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Posterior", "Reference", "names", "read"]

PROGRAMS = Path(__file__).resolve().parent.parent / "examples" / "posteriordb"


class Reference(NamedTuple):
    """Reference moments of scalars, named as Stan names them: 'beta[1]' is the first."""

    names: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray

    def of(self, values: Mapping[str, Any]) -> np.ndarray:
        """The scalars out of arrays by site, whose leading axes are kept: (..., P)."""
        return np.stack([_scalar(values, name) for name in self.names], axis=-1)


class Posterior(NamedTuple):
    """A program with its data.

    Attributes:
        name: in posteriordb.
        file: of the program.
        program: the NumPyro model.
        data: its arguments.
    """

    name: str
    file: Path
    program: Callable[..., None]
    data: dict[str, Any]
    reference: Reference


def names(only: str | None = None) -> list[str]:
    """Names of the posteriors, or of those that contain a word."""
    found = sorted(path.stem for path in PROGRAMS.glob("*.py"))
    return [name for name in found if only is None or only in name]


def read(name: str) -> Posterior:
    """One posterior from the folder `$TAUT_DATA/posteriordb`."""
    folder = Path(os.environ["TAUT_DATA"]) / "posteriordb"
    file = PROGRAMS / f"{name}.py"
    data_name = _json(folder / "posteriors" / f"{name}.json")["data_name"]
    data = _json(folder / "data" / f"{data_name}.json")
    summary = _json(folder / "summary" / f"{name}.json")
    reference = Reference(
        tuple(summary["names"]), np.asarray(summary["mean"]), np.asarray(summary["sd"])
    )
    arrays = {k: np.asarray(v, np.float64) if isinstance(v, list) else v for k, v in data.items()}
    return Posterior(name, file, runpy.run_path(str(file))["model"], arrays, reference)


def _scalar(values: Mapping[str, Any], name: str) -> np.ndarray:
    site, _, place = name.partition("[")
    if not place:
        return np.asarray(values[site])
    index = tuple(int(i) - 1 for i in place.rstrip("]").split(","))
    array = np.asarray(values[site])
    return array[(..., *index)]


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
