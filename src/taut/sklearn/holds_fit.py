"""`HoldsFit`: a pickle of an estimator holds its `Fit` as the files of a run folder.

Arrays are safetensors and structure is JSON, so that a pickle has no object of JAX or of a model.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taut.fitted import Fit, load

__all__ = ["HoldsFit"]


class HoldsFit:
    """What stands before `BaseEstimator` among the bases of an estimator with a `Fit` in `fit_`."""

    fit_: Fit

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        if "fit_" in state:
            state = {**state, "fit_": _files_of(state["fit_"])}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "fit_" in state:
            state = {**state, "fit_": _from_files(state["fit_"])}
        above: Any = super()
        above.__setstate__(state)


def _files_of(fit: Fit) -> dict[str, bytes]:
    """A run folder of the fit, file by file."""
    with tempfile.TemporaryDirectory() as parent:
        folder = fit.save(Path(parent) / "fit")
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _from_files(files: Mapping[str, bytes]) -> Fit:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        return load(folder)
