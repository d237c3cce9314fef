"""`taut figures`."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.cli.output import print_json
from taut.cli.programs import posterior_of
from taut.errors import InputError, TautError, counted

__all__ = ["draw_missing", "figures"]

# The file that is written last of what a run draws, by whose absence an unfinished drawing is known.
_LAST = {"fit": "latents.png", "em": "evidence.png", "posterior": "khat.png"}


def figures(
    run: Path,
    program: str | None = None,
    /,
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Draw the figures of a finished run again, and the tables of an EM run.

    Parameters
    ----------
    run
        Run folder; the data are those of its config.toml.
    program
        Of a run of `taut infer`: FILE.py or FILE.py:name. The file is executed.
    json
        Print where the figures are as JSON.
    """
    drawn = _drawn(run, program)
    if json:
        print_json({"run": str(run), "figures": [str(path) for path in drawn]})
    else:
        print(f"{counted(len(drawn), 'file')}: {', '.join(str(path) for path in drawn)}")


def draw_missing(run: Path, program: str | None = None) -> None:
    """Draw what a run was stopped before; where it cannot be drawn, say so on standard error.

    Of one that was killed when all was drawn, what it held the folder by goes.
    """
    from taut.runs import LOCK, claimed

    if (run / "figures" / _LAST[_kind(run)]).is_file():
        if (run / LOCK).exists():
            with contextlib.suppress(InputError), claimed(run):
                pass
        return
    try:
        _drawn(run, program)
    except (TautError, OSError) as error:
        said = error.worded("command line") if isinstance(error, TautError) else str(error)
        print(f"note: figures are missing: {said}", file=sys.stderr)


def _kind(run: Path) -> str:
    from taut.fitted.facts import FitFacts, read_facts
    from taut.runs import RunFolder

    facts = read_facts(RunFolder.open(run).read_summary()[1], where=str(run))
    if not isinstance(facts, FitFacts):
        return "posterior"
    return "fit" if facts.em is None else "em"


def _drawn(run: Path, program: str | None) -> tuple[Path, ...]:
    """The files, drawn."""
    from taut.runs import RunFolder

    kind = _kind(run)
    with RunFolder.for_writing(run, resume=True):
        RunFolder(run).figures.mkdir(exist_ok=True)
        if kind == "posterior":
            return _drawn_posterior(run, program)
        from taut.cli.rows import own_data, with_its_data
        from taut.fitted import load
        from taut.fitted.fit import Fit

        fitted = load(run)
        assert isinstance(fitted, Fit)  # of this kind
        fitted = with_its_data(fitted, run)
        if fitted.recipe.data.source is None:
            raise InputError(
                "a run whose data have a name", "one fitted to an array in Python",
                "fit.plot.samples(data) and the like, in Python", where=str(run),
            )  # fmt: skip
        data = own_data(fitted)
        if kind == "em":
            from taut.report.draw_em import draw_em
            from taut.report.em_tables import write_tables

            return (*write_tables(fitted, data, run), *draw_em(fitted, run / "figures"))
        from taut.report.draw_fit import draw_fit

        return draw_fit(fitted, data, run / "figures")


def _drawn_posterior(run: Path, program: str | None) -> tuple[Path, ...]:
    from taut.report.draw_posterior import draw_posterior

    fitted, recipe, _ = posterior_of(run, program, command="figures")
    precision = recipe.posterior.precision_nats
    return draw_posterior(fitted, run / "figures", precision_nats=precision)
