"""`taut audit`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from taut.cli.going_on import going_on
from taut.cli.output import print_json, waiting
from taut.cli.placement import AGAIN, Placement
from taut.cli.rows import named_rows, open_run, own_data
from taut.cli.whole import Whole

__all__ = ["audit"]


def audit(
    run: Path,
    /,
    *,
    data: str | None = None,
    rows: Whole = 500,
    try_remedies: Annotated[bool, Parameter(name="--try", negative=())] = False,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
    place: Annotated[Placement | None, Parameter(name="*")] = None,
) -> None:
    """Where the ELBO of a run loses nats: encoder, family of the guide, or prior; and what to try.

    The gap between log-evidence and ELBO is divided for training and held-out rows, the ELBO of the
    training rows into reconstruction, mutual information and marginal KL. RUN/audit.json holds all
    numbers, RUN/figures what they look like. Stopped or killed, the same command goes on.

    Parameters
    ----------
    run
        Run folder.
    data
        Other held-out rows; they must fit the run's columns. [default: the run's test rows]
    rows
        Training rows, and as many held-out rows, that are looked at one by one.
    try_remedies
        Also try what takes no other fit, draws of a Gaussian fitted to each row and another prior, and
        say what it gains.
    seed
        Random seed of rows and draws.
    json
        Print the results as JSON on standard output.
    """
    from taut.api.auditing import audit as audited
    from taut.core.hosts import agree_on, writes

    with (place or Placement()).entered(remedy=AGAIN):
        fitted = open_run(run)
        own = own_data(fitted)
        held_out, of = None, "test"
        if data is not None:
            held_out, of = named_rows(fitted, data=data, split=None)
        told = f"audit of {rows} training and as many held-out rows"
        asked = {"data": own.checksum, "rows": rows, "seed": seed}
        other = None if held_out is None else held_out.datum()
        agree_on({"try": try_remedies})
        with (
            going_on(run, "audit", asked, other),
            waiting(told, quiet=json or not writes()),
        ):
            found = audited(
                fitted, own, held_out=held_out, rows=rows, try_remedies=try_remedies, key=seed
            )
        if writes():
            _print(run, found, of=of, json=json)


def _print(run: Path, found: Any, *, of: str, json: bool) -> None:
    """Write what was found into the run folder, and print it; `of` as of `looked_at`."""
    content = {"run": str(run), "of": of, **found.to_dict(door="command line")}
    files = _kept(run, found, content)
    if json:
        print_json({**content, "files": files})
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.audit import audit_page

    console = Console()
    audit_page(console, found, door="command line", of=of)
    if files:
        tables.facts_table(console, "files", {Path(file).name: file for file in files})


def _kept(run: Path, found: Any, content: dict[str, Any]) -> list[str]:
    """Write audit.json and the figures into the run folder; those that were written."""
    import json as json_format

    from taut.cli.save import drawn_where_possible, remove_beside
    from taut.core import write_atomically
    from taut.report.draw_audit import draw_audit

    text = json_format.dumps(content, indent=2, allow_nan=False).encode()
    pictures = {run / "figures" / n: draw for n, draw in draw_audit(found).items()}
    remove_beside(pictures)
    wishes = {run / "audit.json": lambda path: write_atomically(path, lambda f: f.write(text))}
    wishes |= pictures
    written = [drawn_where_possible(path, draw) for path, draw in wishes.items()]
    return [str(path) for path in written if path is not None]
