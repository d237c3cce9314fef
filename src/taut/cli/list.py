"""`taut list`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.cli.output import print_json
from taut.errors import InputError

__all__ = ["list_runs"]


def list_runs(
    folder: Path = Path("runs"), /, *, json: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """List the runs in a folder: what each is, how far it is, and its log-evidence.

    Parameters
    ----------
    folder
        Where to look, three folders deep.
    json
        Print the list as JSON.
    """
    from taut.report.runs import run_line, runs_in, runs_table

    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing there"
        raise InputError("a folder with runs", got, "`taut fit digits`", where=str(folder))
    lines = [run_line(run) for run in runs_in(folder)]
    if json:
        print_json({"folder": str(folder), "runs": [line.to_dict() for line in lines]})
        return
    if not lines:
        print(f"no runs in {folder}")
        return
    from rich.console import Console

    runs_table(Console(), lines, folder)
