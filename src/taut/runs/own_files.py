"""What in a folder is taut's: the files of a run by name, and names that say nothing.

A folder may hold other files, of people and of the system. They stay where they are, whatever is
replaced.
"""

import os
from pathlib import Path

from taut.core import is_temporary

__all__ = ["LOCK", "NEXT", "own_files", "what_is_there"]

LOCK = ".taut.lock"
NEXT = ".taut.new"  # where a run is written that replaces the one that is there

# In the order in which they are removed: what is left is a run that is not finished, at every moment.
_RESULTS = (
    "report.html", "evaluation.json", "bracket.json", "calibration.json", "audit.json", "fidelity.json",
    "scores.csv", "scores-columns.csv", "imputed.csv", "imputed-sd.csv", "imputed-draws.csv",
    "summary.json", "rows.safetensors", "draws.safetensors", "coordinates.csv", "components.csv",
    "responsibilities.csv", "loadings.csv", "selection.csv", "samples.png", "reconstructions.png",
    "interpolation.png", "latents.csv", "predictions.csv",
    "predictor.safetensors", "model.json", "model.safetensors",
)  # fmt: skip
_FIGURES = (
    "learning-curves", "samples", "reconstructions", "interpolation", "latents", "evidence",
    "selection", "pairs", "khat", "bound", "gradients", "gaps", "latent_kls", "overlap",
    "calibration",
)  # fmt: skip
_BEGUN = ("metrics.jsonl", "config.toml")
# What systems put into folders, and what a run that was stopped in its first moment has left.
_NOTHING = {LOCK, "lost+found", ".DS_Store"}
_EMPTY = {"checkpoints", "figures", "metrics.jsonl"}


def own_files(folder: Path) -> list[Path]:
    """The files of a run that are there, those that every run has from its start last."""
    paths = [folder / name for name in _RESULTS]
    paths += [folder / "figures" / f"{name}.png" for name in _FIGURES]
    paths += sorted((folder / "checkpoints").glob("*.safetensors"))
    paths += [folder / name for name in _BEGUN]
    return [path for path in paths if path.is_file()]


def what_is_there(folder: Path) -> list[str]:
    """The names in a folder, without those that say nothing."""
    return [
        entry.name
        for entry in os.scandir(folder)
        if entry.name not in _NOTHING
        and not is_temporary(entry.name)
        and not (entry.name in _EMPTY and _is_empty(Path(entry.path)))
    ]


def _is_empty(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else path.is_file() and not path.stat().st_size
