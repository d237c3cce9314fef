"""`taut resume`."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.errors import InputError

__all__ = ["resume"]


def resume(
    run: Path,
    program: str | None = None,
    /,
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Go on with a run that was stopped, from its last checkpoint, to the same result.

    The program of a run of `taut infer` is named again, as nothing that a run folder names is executed.

    Parameters
    ----------
    run
        Run folder; data and options are those of its config.toml.
    program
        Of a run of `taut infer`: FILE.py or FILE.py:name. The file is executed.
    json
        Print the results as JSON on standard output.
    """
    from taut.runs import RunFolder

    folder = RunFolder.open(run)
    if folder.is_finished:
        from taut.cli.show import show

        show(run, json=json)
        return
    from taut.recipe import ProgramRecipe, recipe_from

    content = folder.read_config()
    if "posterior" in content:
        from dataclasses import replace

        from taut.cli.infer import run_infer

        recipe = ProgramRecipe.from_dict(content, where=str(folder.path / "config.toml"))
        if program is None and recipe.program is None:
            raise InputError(
                "a run whose program has a file", "one of a function in Python",
                f"taut.infer(the same program and data, out={str(run)!r}, resume=True)",
                where=str(run),
            )  # fmt: skip
        if program is None:
            named = shlex.join(["taut", "resume", str(run), str(recipe.program)])
            raise InputError(
                "the program on the command line, as nothing that a run folder names is executed",
                "none", f"`{named}`, if you trust that file", where=str(run),
            )  # fmt: skip
        run_infer(replace(recipe, program=program), run, resume=True, json=json)
        return
    if program is not None:
        raise InputError(
            "nothing after the folder of a fit, which has no program", repr(program),
            shlex.join(["taut", "resume", str(run)]), where=str(run),
        )  # fmt: skip
    from taut.cli.fit import run_fit

    recipe = recipe_from(content, where=str(folder.path / "config.toml"))
    if recipe.data.source is None:
        raise InputError(
            "a run whose data have a name", "one of data that came in memory",
            f"taut.fit(the same data and options, out={str(run)!r}, resume=True)", where=str(run),
        )  # fmt: skip
    run_fit(recipe.data.source, recipe, run, resume=True, json=json)
