"""The loop over data, and what a run leaves on disk."""

from taut.training.archive import FORMAT, load_pair, read_structure, save_pair
from taut.training.loop import Loop, Progress, Recorder, TrainingState, train
from taut.training.run_folder import RunFolder, next_run, to_toml
from taut.training.schedules import SCHEDULES, Plateau, ScheduleName, schedule

__all__ = [
    "FORMAT",
    "SCHEDULES",
    "Loop",
    "Plateau",
    "Progress",
    "Recorder",
    "RunFolder",
    "ScheduleName",
    "TrainingState",
    "load_pair",
    "next_run",
    "read_structure",
    "save_pair",
    "schedule",
    "to_toml",
    "train",
]
