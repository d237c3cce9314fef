"""The loop over data, and what a run leaves on disk."""

from taut.training.archive import FORMAT, load_pair, read_structure, save_pair
from taut.training.checkpoint import Restored, restore_checkpoint, save_checkpoint
from taut.training.loop import Loop, Progress, Recorder, TrainingState, compiled_steps, start, train
from taut.training.run_folder import RunFolder, next_run, to_toml
from taut.training.schedules import SCHEDULES, Plateau, ScheduleName, schedule

__all__ = [
    "FORMAT",
    "SCHEDULES",
    "Loop",
    "Plateau",
    "Progress",
    "Recorder",
    "Restored",
    "RunFolder",
    "ScheduleName",
    "TrainingState",
    "compiled_steps",
    "load_pair",
    "next_run",
    "read_structure",
    "restore_checkpoint",
    "save_checkpoint",
    "save_pair",
    "schedule",
    "start",
    "to_toml",
    "train",
]
