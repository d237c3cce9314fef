"""`taut evaluate` of a run of `taut infer`: the log-evidence of its data, and an end above it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taut.cli.going_on import going_on
from taut.cli.output import print_json, waiting
from taut.cli.programs import posterior_of
from taut.cli.save import drawn_where_possible
from taut.errors import InputError, option

__all__ = ["evaluate_program"]

_SECONDS = 300.0
_REFITS = 20


def evaluate_program(
    run: Path,
    source: str,
    *,
    seconds: float | None,
    seed: int,
    others: Mapping[str, Any],
    json: bool,
) -> None:
    """Fit the program to data that it makes, and print both ends.

    Arguments:
        run: run folder of a posterior.
        source: FILE.py or FILE.py:name, which is executed.
        seconds: what all fits may take; None for five minutes.
        seed: random seed.
        others: options of the command that a fit's rows have, by name; None where not given.
        json: whether to print JSON.

    Raises:
        InputError: one of the others is given; see `posterior.bracket`.
    """
    from taut.api.bracketing import bracket_posterior
    from taut.api.inferring import source_of
    from taut.core import write_json

    for name, value in others.items():
        if value is not None:
            raise InputError(
                "the options of a program, seconds, seed and json", option(name),
                f"leaving out {option(name)}", where=option(name),
            )  # fmt: skip
    posterior, recipe, function = posterior_of(run, source, command="evaluate")
    asked = {"refits": _REFITS, "seed": seed, "source": source_of(function)}
    with (
        going_on(run, "evaluate", asked, posterior.datum),
        waiting(f"log-evidence by {_REFITS} refits", quiet=json),
    ):
        found = bracket_posterior(
            posterior, refits=_REFITS, seconds=_SECONDS if seconds is None else seconds, key=seed,
            options=recipe.posterior, tell=lambda price: print(f"note: {price}", file=sys.stderr),
        )  # fmt: skip
    content = found.to_dict()
    drawn_where_possible(run / "bracket.json", lambda path: write_json(path, content))
    if json:
        print_json({"run": str(run), **content})
        return
    from rich.console import Console

    from taut.report.posterior import posterior_table

    ends = {"log-evidence": found.lower}
    if found.upper is not None:
        ends["at most"] = found.upper
    why = [f"no upper end: {found.without_upper}"] if found.without_upper else []
    posterior_table(Console(), ends, facts={}, notes=[*why, *found.notes])
