"""Progress is live in a terminal and silent everywhere else."""

import io
import sys

import numpy as np
import pytest
from rich.console import Console

import taut
from taut.api.em import EMProgress
from taut.api.showing import shown
from taut.core import InputError
from taut.report.progress import ProgressDisplay
from taut.report.progress_line import ProgressLine, progress_words
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


def test_a_line_is_written_over_and_wiped_away():
    stream = io.StringIO()
    with ProgressLine(stream, live=True) as line:
        line.update(EARLY)
        line.update(LATE)
    text = stream.getvalue()
    assert "\n" not in text
    _, first, second, wiped, end = text.split("\r")
    assert first.startswith("step 10/6000, epoch 0.2, bound -412.")
    assert second.startswith(
        "step 5800/6000, epoch 123.0, bound -91.50, validation -92.25, 31 steps/s"
    )
    assert second.rstrip().endswith("0:06 left")
    assert wiped == " " * max(len(first), len(second))
    assert end == ""


def test_a_log_has_a_line_now_and_then():
    stream, now = io.StringIO(), [0.0]
    with ProgressLine(stream, live=False, clock=lambda: now[0]) as line:
        for now[0] in range(3600):
            line.update(LATE)
    lines = stream.getvalue().splitlines()
    assert 10 < len(lines) < 30
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize(("prompt", "said"), [(True, True), (False, False)])
def test_progress_is_shown_where_someone_types(prompt, said, monkeypatch, capsys):
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with shown(None) as report:
        if report is not None:
            report(EARLY)
    assert ("step 10/6000" in capsys.readouterr().err) == said


def test_an_environment_variable_keeps_it_quiet(monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setenv("TAUT_PROGRESS", "0")
    with shown(None) as report:
        assert report is None
    with shown(True) as report:
        assert report is not None


def test_what_is_no_report_is_refused():
    line = "expected True, False or a function of a report, got 3"
    with pytest.raises(InputError, match=line), shown(3):
        pass


def test_em_shows_its_iterations(capsys):
    rows = np.random.default_rng(0).normal(size=(30, 2))
    taut.em(rows, model="ppca", components=1, progress=True)
    assert capsys.readouterr().err == ""  # no 10 seconds
    words = progress_words(EMProgress(2, 0, 7, -3.0))
    assert words == "2 components, start 1, iteration 7: -3.0000 nats per row"
