"""`taut report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from taut.cli.output import print_json, waiting
from taut.errors import InputError, counted

if TYPE_CHECKING:
    from taut.data import Data
    from taut.fitted import Fit

__all__ = ["report"]


def report(
    *runs: Path,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write what is known of runs as one HTML file, which needs no network and no scripts.

    Every number has its side, both errors and a word on what it means; several runs stand side by side
    with their differences, paired by row. A run that is not finished is reported as far as it is.

    Parameters
    ----------
    runs
        Run folders; the first is what the others are compared with.
    out
        HTML file to write. [default: report.html in the run folder, or here for several runs]
    json
        Print where the file is as JSON.
    """
    if not runs:
        raise InputError("RUN", "none", "`taut report RUN`", where="report")
    from taut.report.html.report import write_report
    from taut.report.html.reported import reported
    from taut.runs import RunFolder

    for run in runs:
        RunFolder.open(run)  # before anything is computed
    path = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    _check_file(path)
    with waiting(f"report on {counted(len(runs), 'run')}", quiet=json):
        found = [
            reported(run, rows_of=lambda fit, run=run: _rows_of(fit, run), door="command line")
            for run in runs
        ]
        write_report(path, found, door="command line")
    if json:
        print_json({"runs": [str(run) for run in runs], "report": str(path)})
    else:
        print(path)


def _rows_of(fitted: "Fit", run: Path) -> "Data":
    from taut.cli.rows import own_data, with_its_data

    return own_data(with_its_data(fitted, run))


def _check_file(path: Path) -> None:
    from taut.cli.save import check_suffix

    check_suffix(path, [".html", ".htm"])
    if path.is_dir():
        raise InputError("a file", "a folder", f"{path}/report.html", where="out")
