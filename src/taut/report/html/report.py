"""The report: one run part by part, or several side by side and then each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from taut.core import Estimate, InputError, write_atomically
from taut.errors import Door
from taut.fitted import compare
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import term
from taut.report.html.numbers import differences, table
from taut.report.html.page import Section, page
from taut.report.html.reported import Reported
from taut.report.html.rows import PIXELS
from taut.report.html.sections import named, sections, summary
from taut.report.words import ESTIMATES, POSTERIOR_ESTIMATES

__all__ = ["report_text", "write_report"]

_Compare = Callable[[Any, Any], dict[str, Estimate]]


def write_report(path: Path | str, runs: Sequence[Reported], *, door: Door = "Python") -> Path:
    """Write the page of some runs in one step.

    Arguments:
        path: of the file.
        runs: at least one; the first is what others are compared with.
        door: whose words remedies are in.

    Raises:
        InputError: no run.
        OSError: the file cannot be written.
    """
    text = report_text(runs, door=door)
    return write_atomically(path, lambda file: file.write(text.encode()))


def report_text(runs: Sequence[Reported], *, door: Door = "Python") -> str:
    """The same as text."""
    if not runs:
        raise InputError("at least one run", "none", "a run folder", where="report")
    if len(runs) == 1:
        (run,) = runs
        return page(f"{run.name}", summary(run), sections(run))
    whole = [
        Section("Side by side", _side_by_side(runs)),
        Section("Differences", _paired(runs, door)),
    ]
    for run in runs:
        parts = sections(run, pixels=PIXELS // len(runs))
        body = joined(
            summary(run), (joined(element("h3", part.title), part.body) for part in parts)
        )
        whole.append(Section(run.name, body))
    lead = element("p", f"{len(runs)} runs. Of two numbers their difference is told with its own "
                   "errors, paired by row.", class_="said")  # fmt: skip
    return page(f"{len(runs)} runs", lead, whole)


def _side_by_side(runs: Sequence[Reported]) -> Markup:
    found = [named(run) for run in runs]
    names = list(dict.fromkeys(name for estimates in found for name in estimates))
    rows: list[tuple[Any, ...]] = [
        (term(name), *(str(e[name]) if name in e else "-" for e in found)) for name in names
    ]
    rows.append(("state", *(run.unfinished or "finished" for run in runs)))
    heads = ("", *(run.name for run in runs))
    return table(heads, rows, caption="Each number of each run", words=range(len(heads)))


def _paired(runs: Sequence[Reported], door: Door) -> Markup:
    """Each run less the first."""
    first, told = runs[0], []
    words = {**ESTIMATES, **POSTERIOR_ESTIMATES} if not first.schema else ESTIMATES
    for run in runs[1:]:
        title = f"{run.name} less {first.name}"
        if first.unfinished or run.unfinished:
            told.append(element("p", f"{title}: not known, as one of them is not finished."))
            continue
        try:
            found = compare(run.result, first.result)
        except InputError as error:
            told.append(element("p", f"{title}: not known. {error.worded(door)}", class_="note"))
            continue
        shown = {words.get(name, name): estimate for name, estimate in found.items()}
        told.append(differences(shown, caption=title))
    return joined(told)
