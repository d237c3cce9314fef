"""`taut resume`."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from taut.cli.placement import Placement
from taut.cli.programs import refuse_unnamed
from taut.errors import InputError, option

if TYPE_CHECKING:
    from taut.runs import RunFolder

__all__ = ["resume"]


def resume(
    run: Path,
    program: str | None = None,
    /,
    *,
    evidence_particles: int | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    place: Annotated[Placement | None, Parameter(name="*")] = None,
) -> None:
    """Go on with a run that was stopped, from its last checkpoint, to the same result.

    The program of a run of `taut infer` is named again, as nothing that a run folder names is executed.

    Parameters
    ----------
    run
        Run folder; data and options are those of its config.toml.
    program
        Of a run of `taut infer`: FILE.py or FILE.py:name. The file is executed.
    evidence_particles
        Draws for each test row that the log-evidence of a fit is estimated with, where they shall be
        others than in its config.toml.
    json
        Print the results as JSON on standard output.
    """
    from taut.runs import RunFolder

    folder = RunFolder.to_resume(run)
    if evidence_particles is not None and (kind := _unsampled(folder)) is not None:
        raise InputError(
            "a fit whose log-evidence is estimated with draws", kind,
            f"leaving out {option('evidence_particles')}", where=option("evidence_particles"),
        )  # fmt: skip
    if folder.is_finished:
        _show(run, program, evidence_particles, json=json)
    elif "posterior" in folder.read_config():
        _resume_posterior(folder, run, program, json=json, place=place)
    else:
        _resume_fit(folder, run, program, evidence_particles, json=json, place=place)


def _show(run: Path, program: str | None, evidence_particles: int | None, *, json: bool) -> None:
    """Print a run that is finished, and draw what figures it lacks."""
    from taut.cli.figures import draw_missing
    from taut.cli.show import show

    if evidence_particles is not None:
        raise InputError(
            "a run that is not measured yet", "one that is",
            f"`{shlex.join(['taut', 'evaluate', str(run)])} --num-particles {evidence_particles}`",
            where="evidence-particles",
        )  # fmt: skip
    draw_missing(run, program)
    show(run, json=json)


def _resume_posterior(
    folder: "RunFolder", run: Path, program: str | None, *, json: bool, place: Placement | None
) -> None:
    """Go on with a run of `taut infer`, whose program is named again."""
    from taut.cli.infer import run_infer, with_found_data
    from taut.recipe import ProgramRecipe

    where = str(folder.path / "config.toml")
    recipe = ProgramRecipe.from_dict(folder.read_config(), where=where)
    if program is None and recipe.program is None:
        raise InputError(
            "a run whose program has a file", "one of a function in Python",
            f"taut.infer(the same program and data, out={str(run)!r}, resume=True)",
            where=str(run),
        )  # fmt: skip
    if program is None:
        refuse_unnamed(run, recipe, command="resume")
    recipe = with_found_data(replace(recipe, program=program), run)
    run_infer(recipe, run, resume=True, json=json, place=place)


def _resume_fit(
    folder: "RunFolder",
    run: Path,
    program: str | None,
    evidence_particles: int | None,
    *,
    json: bool,
    place: Placement | None,
) -> None:
    """Go on with a run of `taut fit` or `taut em`, whose data have a name."""
    from taut.cli.fit import run_fit
    from taut.cli.rows import found_again
    from taut.inference import AbstractExact
    from taut.recipe import recipe_from

    if program is not None:
        raise InputError(
            "nothing after the folder of a fit, which has no program", repr(program),
            shlex.join(["taut", "resume", str(run)]), where=str(run),
        )  # fmt: skip
    recipe = recipe_from(folder.read_config(), where=str(folder.path / "config.toml"))
    if (source := recipe.data.source) is None:
        door = "taut.em" if isinstance(recipe.inference, AbstractExact) else "taut.fit"
        raise InputError(
            "a run whose data have a name", "one of data that came in memory",
            f"{door}(the same data and options, out={str(run)!r}, resume=True)", where=str(run),
        )  # fmt: skip
    if evidence_particles is not None:
        evidence = replace(recipe.evidence, evidence_particles=evidence_particles)
        recipe = replace(recipe, evidence=evidence)
    run_fit(found_again(source, run), recipe, run, resume=True, json=json, place=place)


def _unsampled(folder: "RunFolder") -> str | None:
    """What a run is, if no option says how many draws its log-evidence takes; else None."""
    from taut.inference import AbstractExact
    from taut.recipe import recipe_from

    content = folder.read_config()
    if "posterior" in content:
        return "the posterior of a program"
    exact = isinstance(recipe_from(content, where=str(folder.path)).inference, AbstractExact)
    return "one by EM, whose log-evidence is exact" if exact else None
