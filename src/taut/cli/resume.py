"""`taut resume`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.errors import InputError

__all__ = ["resume"]


def resume(run: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Go on with a run that was stopped, from its last checkpoint, to the same result.

    A run of `taut infer` keeps no checkpoints: it is repeated from the start, to the same result.

    Parameters
    ----------
    run
        Run folder; data and options are those of its config.toml.
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
    if "program" in content:
        from taut.cli.infer import run_infer

        run_infer(ProgramRecipe.from_dict(content), run, force=True, json=json)
        return
    from taut.cli.fit import run_fit

    recipe = recipe_from(content, where=str(folder.path / "config.toml"))
    if recipe.data.source is None:
        raise InputError(
            "a run whose data have a name", "one of data that came in memory",
            f"taut.fit(the same data and options, out={str(run)!r}, resume=True)", where=str(run),
        )  # fmt: skip
    run_fit(recipe.data.source, recipe, run, resume=True, json=json)
