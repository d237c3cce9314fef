"""The page that `taut explain` prints: how many answers, what they changed, and where they are."""

from pathlib import Path
from typing import Any

from rich.console import Console

from taut.errors import counted
from taut.report import tables

__all__ = ["explain_page"]


def explain_page(console: Console, content: dict[str, Any], files: list[str]) -> None:
    """Print the page.

    Arguments:
        console: where.
        content: as counterfactuals.json holds it.
        files: that were written.
    """
    reasons = ", ".join(f"{count} {reason}" for reason, count in content["reasons"].items())
    queries = [number for row in content["rows"] for number in row["queries"]]
    facts = {
        "answers": reasons,
        "coverage": f"{content['coverage']:.1%} of {counted(len(content['rows']), 'row')}",
        "geometry": content["geometry"],
        "queries": f"{sum(queries) / len(queries):.0f} of the classifier for each answer",
        "time": f"{1e3 * content['seconds'] / len(queries):.0f} ms for each answer, with compilation",
    }
    if content["floor"] is not None:
        facts["floor"] = (
            f"log-density of the {content['density_of']} at least {content['floor']:.2f} nats"
        )
    tables.facts_table(console, f"target {content['target']}", facts)
    tables.facts_table(console, "files", {Path(file).name: file for file in files})
    for note in content["notes"]:
        console.print(f"note: {note}", style="dim", markup=False, highlight=False)
