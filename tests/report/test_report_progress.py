"""Progress is live in a terminal and silent everywhere else."""

import io

import pytest
from rich.console import Console

from taut.report.progress import ProgressDisplay
from taut.training import Progress

EARLY = Progress(
    step=10, num_steps=6000, epoch=0.25, bound=-412.345, validation=None, steps_per_second=31.4,
    seconds=1.0,
)  # fmt: skip
LATE = EARLY._replace(step=5800, epoch=123.0, bound=-91.5, validation=-92.25)


def _show(console: Console) -> str:
    with ProgressDisplay(console, 6000, "ELBO") as display:
        display.update(EARLY)
        display.update(LATE)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_file_gets_nothing():
    assert _show(Console(file=io.StringIO())) == ""


@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_sees_the_last_report_whole(width: int):
    text = _show(Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None))
    shown = text.split("\r")[-1]
    assert "5800/6000" in shown
    assert "epoch 123.0, ELBO -91.50, validation -92.25, 31 steps/s" in shown


def test_the_number_of_steps_may_come_with_the_reports():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with ProgressDisplay(console) as display:
        display.update(EARLY)
    assert "10/6000" in console.file.getvalue()
    assert "bound -412." in console.file.getvalue()


def test_an_error_passes_through_and_gives_the_cursor_back():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with pytest.raises(KeyboardInterrupt), ProgressDisplay(console, 6000):
        raise KeyboardInterrupt
    assert console.file.getvalue().endswith("\x1b[?25h")
