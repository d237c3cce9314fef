"""`taut calibrate`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from taut.cli.going_on import going_on
from taut.cli.output import print_json, waiting
from taut.cli.programs import is_posterior, posterior_of, refuse_program
from taut.cli.rows import open_run
from taut.cli.save import drawn_where_possible, remove_beside
from taut.cli.whole import Whole
from taut.errors import refuse_unheard

if TYPE_CHECKING:
    from taut.audit import Calibration

__all__ = ["calibrate"]

_ROWS, _REFITS, _SECONDS = 1000, 100, 600.0


def calibrate(
    run: Path,
    program: str | None = None,
    /,
    *,
    rows: Whole | None = None,
    refits: Whole | None = None,
    seconds: float | None = None,
    draws: Whole = 100,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Whether the guide of a run is the posterior of its model, on rows that the model makes.

    Latents are drawn from the prior and rows from them; each latent is ranked among the guide's draws
    for its row, as are log p(x given z) and log p(x, z). Ranks are uniform if the guide is the
    posterior; RUN/figures/calibration.png shows where they are not. This judges the guide, not the
    model: of the rows that the run was fitted to, it says nothing. A run of `taut infer` is fitted anew
    to data sets that its program makes; what that takes is said before. Stopped or killed, the same
    command goes on.

    Parameters
    ----------
    run
        Run folder.
    program
        Of a run of `taut infer`: FILE.py or FILE.py:name. The file is executed.
    rows
        Of other runs: rows to simulate. [default: 1000]
    refits
        Of a run of `taut infer`: data sets to simulate and fit. [default: 100]
    seconds
        Of a run of `taut infer`: what all fits may take, or none is started after the second.
        [default: 600]
    draws
        Draws of the guide for each.
    seed
        Random seed of rows and draws.
    json
        Print the results as JSON on standard output.
    """
    from taut.core import write_json
    from taut.report.calibration import calibration_table, draw_calibration, plain_calibration

    of_program = is_posterior(run)
    kinds = "a fit of rows", "a run of `taut infer`, which simulates data sets"
    if of_program:
        refuse_unheard({"rows": rows}, *kinds)
        refits = _REFITS if refits is None else refits
        seconds = _SECONDS if seconds is None else seconds
        found = _by_refits(run, program, refits, draws, seconds, seed, quiet=json)
    else:
        refuse_unheard({"refits": refits, "seconds": seconds}, *reversed(kinds))
        from taut.api.calibrating import calibrate as calibrated

        if program is not None:
            refuse_program(run, program, command="calibrate")
        fitted = open_run(run)
        rows = _ROWS if rows is None else rows
        asked = {"rows": rows, "draws": draws, "seed": seed}
        with (
            going_on(run, "calibrate", asked, None),
            waiting(f"calibration on {rows} simulated rows", quiet=json),
        ):
            found = calibrated(fitted, rows=rows, draws=draws, key=seed)
    content, ranks = plain_calibration(found), run / "figures" / "calibration.png"
    remove_beside([ranks])
    drawn_where_possible(run / "calibration.json", lambda path: write_json(path, content))
    picture = drawn_where_possible(ranks, lambda path: draw_calibration(found, path))
    if json:
        print_json({"run": str(run), "figure": picture and str(picture), **content})
        return
    from rich.console import Console

    from taut.report import tables

    console = Console()
    calibration_table(console, found)
    if picture is not None:
        tables.facts_table(console, "figure", {"ranks of all quantities": str(picture)})


def _by_refits(
    run: Path,
    source: str | None,
    refits: int,
    draws: int,
    seconds: float,
    seed: int,
    *,
    quiet: bool,
) -> "Calibration":
    """The calibration of a program, whose file is named again."""
    from taut.api.calibrating import calibrate_posterior
    from taut.api.inferring import source_of

    posterior, recipe, function = posterior_of(run, source, command="calibrate")
    asked = {"refits": refits, "draws": draws, "seed": seed, "source": source_of(function)}
    with (
        going_on(run, "calibrate", asked, posterior.datum),
        waiting(f"calibration by {refits} refits", quiet=quiet),
    ):
        return calibrate_posterior(
            posterior, refits=refits, draws=draws, seconds=seconds, key=seed, options=recipe.posterior,
            tell=lambda price: print(f"note: {price}", file=sys.stderr),
        )  # fmt: skip
