"""The loop over data, and what a run leaves on disk."""

from taut.training.archive import FORMAT, load_pair, read_structure, save_pair
from taut.training.loop import Loop, Progress, Recorder, TrainingState, compiled_steps, train
from taut.training.run_folder import RunFolder, next_run, to_toml

__all__ = [
    "FORMAT",
    "Loop",
    "Progress",
    "Recorder",
    "RunFolder",
    "TrainingState",
    "compiled_steps",
    "load_pair",
    "next_run",
    "read_structure",
    "save_pair",
    "to_toml",
    "train",
]
