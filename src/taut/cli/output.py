"""What commands print, and the figures that they leave behind, which are drawn after it.

Standard output holds results: a table, or with --json one JSON object. Standard error holds progress
and complaints.
"""

import contextlib
import json as json_format
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taut.errors import counted

if TYPE_CHECKING:
    from taut.api import Fit
    from taut.data import Data

__all__ = [
    "em_display", "finish_em", "finish_fit", "print_json", "training_display", "waiting",
]  # fmt: skip


@contextlib.contextmanager
def training_display(*, quiet: bool) -> Iterator[Callable[[Any], None] | None]:
    """Live progress on standard error; nothing when it is not a terminal."""
    from rich.console import Console

    from taut.report.progress import ProgressDisplay

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with ProgressDisplay(console) as display:
        yield display.update


@contextlib.contextmanager
def em_display(*, quiet: bool) -> Iterator[Callable[[Any], None] | None]:
    """A status line on standard error; nothing when it is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status("EM") as status:
        yield lambda p: status.update(
            f"{counted(p.components, 'component')}, start {p.restart + 1}, iteration {p.iteration}: "
            f"{p.log_evidence:.4f} nats per row"
        )


def waiting(what: str, *, quiet: bool) -> contextlib.AbstractContextManager[Any]:
    """A status line on standard error; nothing when it is not a terminal."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return contextlib.nullcontext()
    return console.status(escape(what))


def finish_fit(fitted: "Fit", data: "Data", folder: Path, *, json: bool) -> None:
    """Print the results of a new run and draw its figures."""
    try:
        _print_fit(fitted, folder, json=json)
    finally:  # also where whoever read along has gone
        from taut.report.draw_fit import draw_fit  # dear to import: the numbers do not wait

        draw_fit(fitted, data, folder / "figures")


def _print_fit(fitted: "Fit", folder: Path, *, json: bool) -> None:
    if json:
        print_json(
            {"run": str(folder), **results(fitted.estimates), "facts": fitted.facts.to_dict()}
        )
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.words import ESTIMATES, fact_words

    tables.summary_table(
        Console(),
        {ESTIMATES[name]: e for name, e in fitted.estimates.items()},
        facts={
            **fact_words(fitted.facts),
            "run": str(folder),
            "figures": str(folder / "figures"),
        },
        notes=fitted.facts.notes,
    )


def results(estimates: Any) -> dict[str, Any]:
    """Estimates as JSON holds them."""
    return {"estimates": {name: e.to_dict() for name, e in estimates.items()}}


def print_json(content: Any) -> None:
    """One JSON object on standard output."""
    print(json_format.dumps(content, indent=2, allow_nan=False), flush=True)


def finish_em(fitted: "Fit", source: Any, folder: Path, *, json: bool) -> None:
    """Tables into the run folder, results onto standard output, then the figures."""
    from taut.report.em_tables import write_tables

    tables = write_tables(fitted, source, folder)
    try:
        _print_em(fitted, tables, folder, json=json)
    finally:
        from taut.report.draw_em import draw_em

        draw_em(fitted, folder / "figures")


def _print_em(fitted: "Fit", tables: list[Path], folder: Path, *, json: bool) -> None:
    if json:
        content = {"run": str(folder), **results(fitted.estimates), "facts": fitted.facts.to_dict()}
        print_json({**content, "tables": [str(path) for path in tables]})
        return
    from rich.console import Console

    from taut.report import tables as terminal
    from taut.report.words import ESTIMATES, fact_words

    names = ESTIMATES | {"log_evidence": "held-out log-evidence"}
    facts = fact_words(fitted.facts)
    facts |= {"run": str(folder), "tables": ", ".join(path.name for path in tables)}
    terminal.summary_table(
        Console(),
        {names[n]: e for n, e in fitted.estimates.items()},
        facts=facts,
        notes=fitted.facts.notes,
    )
