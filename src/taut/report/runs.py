"""A folder of runs in lines: what each is, how far it is, and its log-evidence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from taut.core import Estimate, InputError
from taut.fitted.facts import PosteriorFacts, read_facts
from taut.report.numbers import cells, in_errors, paired_words
from taut.report.tables import _pm, _print_line, _print_table
from taut.runs import RunFolder, read_structure

__all__ = ["RunLine", "ranking_table", "run_line", "runs_in", "runs_table"]

_DEPTH = 3  # folders below the one that is asked about


class RunLine(NamedTuple):
    """A run in one line.

    Attributes:
        path: of its folder.
        model: the architecture, or the program; empty where it is not known yet.
        data: their name; empty likewise, and for a posterior.
        state: `finished`, `not measured`, `not finished` or `damaged`.
        log_evidence: of a finished run that has one.
    """

    path: Path
    model: str = ""
    data: str = ""
    state: str = "not finished"
    log_evidence: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        found = None if self.log_evidence is None else self.log_evidence.to_dict()
        return {**self._asdict(), "path": str(self.path), "log_evidence": found}


def runs_in(folder: Path) -> list[RunFolder]:
    """The runs in a folder and in those within it, by their paths; the folder itself if it is one."""
    if RunFolder(folder).is_run:
        return [RunFolder(folder)]
    found: list[RunFolder] = []
    level = [folder]
    for _ in range(_DEPTH):
        within = [p for above in level for p in _folders(above)]
        found += [run for run in map(RunFolder, within) if run.is_run]
        level = [path for path in within if not RunFolder(path).is_run]
    return sorted(found, key=lambda run: run.path)


def run_line(run: RunFolder) -> RunLine:
    """What is known of a run; a damaged one is told as such."""
    try:
        config = run.read_config()
        model, source = _named(config.get("model")), config.get("data")
        data = source.get("source") if isinstance(source, dict) else source
        line = RunLine(run.path, model or str(config.get("program", "")), Path(data or "").stem)
        if not (run.path / "summary.json").is_file():
            return line
        estimates, written = run.read_summary(measured=False, with_rows=False)
        facts = read_facts(written, where=str(run.path))
        if isinstance(facts, PosteriorFacts):
            line = line._replace(model=facts.program, data="")
        else:
            schema = read_structure(run.path).get("schema") or {}
            line = line._replace(data=str(schema.get("name", line.data)))
        state = "finished" if estimates else "not measured"
        return line._replace(state=state, log_evidence=estimates.get("log_evidence"))
    except (InputError, TypeError):
        return RunLine(run.path, state="damaged")


def runs_table(console: Console, lines: Sequence[RunLine], folder: Path) -> None:
    """Print a line for each run.

    Arguments:
        console: where to print.
        lines: of the runs.
        folder: where they were looked for.
    """
    rows = []
    for line in lines:
        at = line.path.relative_to(folder) if line.path != folder else line.path
        number = ("-", "-", "-", "", "") if line.log_evidence is None else cells(line.log_evidence)
        rows.append((str(at), line.model, line.data, line.state, *number))
    pm = _pm(console)
    headings = [
        "",
        "model",
        "data",
        "state",
        "log-evidence",
        f"{pm} draws",
        f"{pm} rows",
        "unit",
        "side",
    ]
    _print_table(console, headings, rows, words=(0, 1, 2, 3, 7, 8))
    _print_line(console, "Log-evidences of one data set and split can be compared: taut compare.")


def ranking_table(console: Console, found: Mapping[str, tuple[Estimate, Estimate | None]]) -> None:
    """Print the log-evidences of runs on the same rows, the highest first.

    Arguments:
        console: where to print.
        found: by run, its log-evidence and the difference to that of the first; None for the first.
    """
    rows = []
    for run, (number, less) in sorted(found.items(), key=lambda item: -item[1][0].value):
        own = cells(number)
        other = ("", "", "", "") if less is None else (*cells(less)[:3], in_errors(less))
        rows.append((run, own.value, *other, own.unit, own.side))
    pm = _pm(console)
    headings = [
        "",
        "log-evidence",
        "less the first",
        f"{pm} draws",
        f"{pm} rows",
        "in errors",
        "unit",
        "side",
    ]
    _print_table(console, headings, rows, words=(0, 6, 7))
    first = next(run for run, (_, less) in found.items() if less is None)
    _print_line(console, paired_words((number for number, _ in found.values()), first=first))


def _named(choice: Any) -> str:
    return str(choice.get("name", "")) if isinstance(choice, dict) else str(choice or "")


def _folders(path: Path) -> list[Path]:
    try:
        return [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError:  # one that cannot be read holds no run that could be
        return []
