"""The loop over data, its feeds and schedules."""

from taut.training.loop import Loop, Progress, Recorder, TrainingState, start, train
from taut.training.optimizers import OPTIMIZERS
from taut.training.options import Precision, TrainingOptions
from taut.training.schedules import SCHEDULES, Plateau, ScheduleName, schedule

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Loop",
    "Plateau",
    "Precision",
    "Progress",
    "Recorder",
    "ScheduleName",
    "TrainingOptions",
    "TrainingState",
    "schedule",
    "start",
    "train",
]
