"""`taut calibrate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.cli.output import print_json, waiting
from taut.cli.rows import open_run
from taut.cli.save import drawn_where_possible
from taut.cli.whole import Whole

__all__ = ["calibrate"]


def calibrate(
    run: Path,
    /,
    *,
    rows: Whole = 1000,
    draws: Whole = 100,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Whether the guide of a run is the posterior of its model, on rows that the model makes.

    Latents are drawn from the prior and rows from them; each latent is ranked among the guide's draws
    for its row, as are log p(x given z) and log p(x, z). Ranks are uniform if the guide is the
    posterior; RUN/figures/calibration.png shows where they are not. This judges the guide, not the
    model: of the rows that the run was fitted to, it says nothing.

    Parameters
    ----------
    run
        Run folder.
    rows
        Rows to simulate.
    draws
        Draws of the guide for each.
    seed
        Random seed of rows and draws.
    json
        Print the results as JSON on standard output.
    """
    from taut.api.calibrating import calibrate as calibrated
    from taut.report.calibration import calibration_table, draw_calibration, plain_calibration

    fitted = open_run(run)
    with waiting(f"calibration on {rows} simulated rows", quiet=json):
        found = calibrated(fitted, rows=rows, draws=draws, key=seed)
    picture = drawn_where_possible(
        run / "figures" / "calibration.png", lambda path: draw_calibration(found, path)
    )
    if json:
        print_json(
            {"run": str(run), "figure": picture and str(picture), **plain_calibration(found)}
        )
        return
    from rich.console import Console

    from taut.report import tables

    console = Console()
    calibration_table(console, found)
    if picture is not None:
        tables.facts_table(console, "figure", {"ranks of all quantities": str(picture)})
