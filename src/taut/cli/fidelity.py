"""`taut fidelity`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from taut.cli.output import print_json, waiting
from taut.cli.rows import named_rows, open_run, own_data, rows_alike
from taut.cli.save import drawn_where_possible
from taut.cli.whole import Whole

__all__ = ["fidelity"]


def fidelity(
    run: Path,
    /,
    *,
    data: str | None = None,
    synthetic: str | None = None,
    num_samples: Annotated[Whole | None, Parameter(alias="-n")] = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """How like real rows the rows are that a model makes, and whether it remembers training rows.

    Synthetic rows are compared with held-out ones, column by column, pair by pair and by a classifier;
    so are training rows, whose scores are the most that so many rows reach. Then the nearest real row of
    each synthetic one tells whether training rows show in them.

    Parameters
    ----------
    run
        Run folder of a table.
    data
        Other held-out rows; they must fit the run's columns. [default: the run's test rows]
    synthetic
        Rows to compare in place of the model's own, of the same columns: those of another program, say.
    num_samples
        Rows to draw; counts that are given the totals of their rows at those of training rows.
        [default: as many as there are held-out rows, between 1,000 and 10,000]
    seed
        Random seed of the draws.
    json
        Print the results as JSON on standard output.
    """
    from taut.api.likening import fidelity as compared

    fitted = open_run(run)
    own = own_data(fitted)
    held_out, of = None, "test"
    if data is not None:
        held_out, of = named_rows(fitted, data=data, split=None)
    others = None if synthetic is None else rows_alike(fitted, synthetic)
    with waiting("fidelity of synthetic rows", quiet=json):
        found = compared(
            fitted, own, held_out=held_out, synthetic=others, num_samples=num_samples, key=seed
        )
    told = {"of": of, "synthetic_source": synthetic}
    files = _kept(run, {**told, **found.to_dict()})
    if json:
        print_json({"run": str(run), **told, **found.to_dict(), "files": files})
        return
    from rich.console import Console

    from taut.report.fidelity import fidelity_page

    fidelity_page(Console(), found, **told)
    for file in files:
        print(file)


def _kept(run: Path, content: dict[str, Any]) -> list[str]:
    """Write fidelity.json into the run folder, where that is possible; what was written."""
    import json as json_format

    from taut.core import write_atomically

    text = json_format.dumps(content, indent=2, allow_nan=False).encode()

    def write(path: Path) -> Path:
        write_atomically(path, lambda file: file.write(text))
        return path

    written = drawn_where_possible(run / "fidelity.json", write)
    return [] if written is None else [str(written)]
