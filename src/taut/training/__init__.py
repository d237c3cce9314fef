"""The loop over data, its feeds and schedules."""

from taut.training.loop import Loop, Progress, Recorder, TrainingState, start, train
from taut.training.schedules import SCHEDULES, Plateau, ScheduleName, schedule

__all__ = [
    "SCHEDULES",
    "Loop",
    "Plateau",
    "Progress",
    "Recorder",
    "ScheduleName",
    "TrainingState",
    "schedule",
    "start",
    "train",
]
