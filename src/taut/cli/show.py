"""`taut show`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from taut.cli.output import print_json, results
from taut.errors import InputError, option

if TYPE_CHECKING:
    from taut.data import Data

__all__ = ["show"]


def show(
    run: Path,
    /,
    *,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Print a run's results, how it was made and what its folder holds; or how a table is read.

    Parameters
    ----------
    run
        Run folder, or data as of `taut fit`, whose columns are printed as it reads them one by one, or
        how many counts a sparse table stores.
    out
        A file such as columns.toml for the kinds of the columns, to be edited and given to --columns.
    json
        Print them as JSON on standard output.
    """
    from taut.runs import RunFolder, read_structure

    if _is_data(run):
        _show_columns(str(run), out, json=json)
        return
    from taut.fitted.facts import PosteriorFacts, read_facts
    from taut.recipe import choices_of_use

    folder = RunFolder.open(run)
    estimates, content = folder.read_summary()
    facts = read_facts(content, where=str(folder.path / "summary.json"))
    if isinstance(facts, PosteriorFacts):
        from taut.cli.infer import print_posterior

        if out is not None:
            raise InputError(
                "a table, or a run on one", "the posterior of a program",
                f"leaving out {option('out')}", where=str(run),
            )  # fmt: skip
        print_posterior(run, json=json)
        return
    config = choices_of_use(folder.read_config())
    structure = read_structure(folder.path)
    if out is not None:
        _write_columns(structure["schema"], out, where=str(run))
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
    _print_columns(structure["schema"])
    tables.facts_table(console, "files", {"in " + str(run): ", ".join(files)})


def _is_data(path: Path) -> bool:
    """Whether a path is data and no run: a file, or what a source has another form for."""
    if path.is_file() or path.is_dir():
        return path.is_file()
    from taut.data import SOURCES

    return any(source.accepts(str(path)) for source in SOURCES)


def _show_columns(source: str, out: Path | None, *, json: bool) -> None:
    """The columns of a table, each read by its own values."""
    import sys

    from taut.data import DataOptions
    from taut.data.load import loaded

    options = DataOptions(source=source, columns="auto", stream="no", dtype="float64")
    data = loaded(source, options, unsplit=True)
    schema = data.schema.to_dict()
    if data.schema.sparse and out is None:
        _show_counts(data, source, json=json)
        return
    if out is not None:
        _write_columns(schema, out, where=source)
    if json:
        told = zip(schema["columns"], schema["kinds"], strict=True)
        print_json({"data": source, "columns": {n: dict(c) for n, c in told}, "notes": data.notes})
        return
    _print_columns(schema)
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)


def _show_counts(data: "Data", source: str, *, json: bool) -> None:
    """A sparse table, whose columns are alike: its size, what is stored of it, and the rows' totals."""
    import sys

    import numpy as np

    parts: list[Any] = [part[:].cells for part in data.parts().values()]
    rows, columns = sum(map(len, parts)), data.schema.size
    stored = sum(part.matrix.nnz for part in parts)
    totals = np.concatenate([part.matrix.sum(axis=1) for part in parts])
    low, middle, high = (int(q) for q in np.quantile(totals, (0, 0.5, 1)))
    found = {"rows": rows, "columns": columns, "values": data.schema.support, "stored": stored}
    told = {"least": low, "median": middle, "largest": high}
    if json:
        print_json({"data": source, **found, "row_totals": told, "notes": data.notes})
        return
    from rich.console import Console

    from taut.report import tables

    shown = {
        name: f"{value:,}" if isinstance(value, int) else value for name, value in found.items()
    }
    shown["stored"] += f" of {rows * columns:,} cells, {stored / (rows * columns):.2%}"
    shown["total of a row"] = f"{low:,} to {high:,}, median {middle:,}"
    tables.facts_table(Console(), "sparse table", shown)
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)


def _print_columns(schema: dict[str, Any]) -> None:
    if schema.get("kinds"):
        from rich.console import Console

        from taut.report import tables

        told = zip(schema["columns"], schema["kinds"], strict=True)
        facts = {n: f"{c['kind']}: {c['reason']}" for n, c in told}
        tables.facts_table(Console(), "columns", facts)


def _write_columns(schema: dict[str, Any], out: Path, *, where: str) -> None:
    from taut.core import write_atomically
    from taut.data import Schema, columns_toml

    if out.suffix != ".toml" or out.exists():
        got = f"'{out}'" + (", which is there" if out.suffix == ".toml" else "")
        raise InputError("a new file .toml for the columns", got, option("out", "columns.toml"))
    if not schema.get("kinds"):
        raise InputError(
            "a table whose columns are read one by one", "another one",
            f"a fit with {option('columns', 'auto')}, or the file of its data", where=where,
        )  # fmt: skip
    text = columns_toml(Schema.from_dict(schema)).encode()
    write_atomically(out, lambda file: file.write(text))


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
