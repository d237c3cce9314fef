"""`taut show`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from taut.cli.output import print_json, results

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
    from taut.fitted.facts import PosteriorFacts, read_facts
    from taut.runs import RunFolder, read_structure

    folder = RunFolder.open(run)
    estimates, content = folder.read_summary()
    facts = read_facts(content, where=str(folder.path / "summary.json"))
    if isinstance(facts, PosteriorFacts):
        from taut.cli.infer import print_posterior

        print_posterior(run, json=json)
        return
    config = folder.read_config()
    structure = read_structure(folder.path)
    files = sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file())
    if json:
        printed = {"run": str(run), **results(estimates), "facts": facts.to_dict()}
        print_json(
            {**printed, "config": config, "architecture": structure["architecture"], "files": files}
        )
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.words import ESTIMATES, fact_words

    console = Console()
    tables.summary_table(
        console,
        {ESTIMATES.get(name, name): e for name, e in estimates.items()},
        facts=fact_words(facts),
        notes=facts.notes,
    )
    tables.facts_table(console, "fitted with", {k: str(v) for k, v in _by_name(config).items()})
    schema = structure["schema"]
    if schema.get("kinds"):
        told = zip(schema["columns"], schema["kinds"], strict=True)
        tables.facts_table(console, "columns", {n: f"{c['kind']}: {c['reason']}" for n, c in told})
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
