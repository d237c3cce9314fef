"""Live progress of a fit, in a terminal and nowhere else."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from taut.training import Progress as TrainingProgress

__all__ = ["ProgressDisplay"]

_REFRESHES = 4  # a second: often enough for the clock, seldom enough to leave the cores alone


class ProgressDisplay:
    """A progress bar with the epoch, the bound on both parts of the data, speed and time left.

    A context manager that prints nothing when the console is not a terminal.

    Arguments:
        console: where to draw.
        num_steps: steps planned; None until the first report says so.
        bound_name: what is maximised, in words.
    """

    def __init__(self, console: Console, num_steps: int | None = None, bound_name: str = "bound"):
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,  # the bar takes what the numbers leave
            refresh_per_second=_REFRESHES,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._bar.add_task("compiling", total=num_steps, words="")
        self._bound_name = bound_name

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, progress: TrainingProgress) -> None:
        """Show a report of the loop."""
        words = f"epoch {progress.epoch:.1f}, {self._bound_name} {progress.bound:.2f}"
        if progress.validation is not None:
            words += f", validation {progress.validation:.2f}"
        self._bar.update(
            self._task,
            description=f"{progress.step}/{progress.num_steps}",
            completed=progress.step,
            total=progress.num_steps,
            words=f"{words}, {progress.steps_per_second:.0f} steps/s",
        )
