"""`taut show`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from taut.cli.output import ESTIMATE_NAMES, print_json, results

__all__ = ["show"]


def show(run: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Print a run's results, how it was made and what its folder holds.

    Parameters
    ----------
    run
        Run folder.
    json
        Print them as JSON on standard output.
    """
    from taut.runs import RunFolder, read_structure

    folder = RunFolder.open(run)
    estimates, facts = folder.read_summary()
    config = folder.read_config()
    structure = read_structure(folder.path)
    if structure["architecture"]["name"] == "posterior":
        from taut.cli.infer import print_posterior

        print_posterior(run, json=json)
        return
    files = sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file())
    if json:
        content = {"run": str(run), **results(estimates), "facts": facts, "config": config}
        print_json({**content, "architecture": structure["architecture"], "files": files})
        return
    from rich.console import Console

    from taut.report import tables

    console = Console()
    tables.summary_table(
        console,
        {ESTIMATE_NAMES.get(name, name): e for name, e in estimates.items()},
        facts={name: str(value) for name, value in facts.items()},
    )
    tables.facts_table(console, "fitted with", {k: str(v) for k, v in _by_name(config).items()})
    tables.facts_table(console, "files", {"in " + str(run): ", ".join(files)})


def _by_name(config: dict[str, Any], table: str = "") -> dict[str, Any]:
    """A nested table as one, by dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= (
            _by_name(value, f"{table}{name}.")
            if isinstance(value, dict)
            else {f"{table}{name}": value}
        )
    return found
