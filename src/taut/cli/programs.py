"""A run of `taut infer` whose program is named again, as nothing that a run folder names is executed."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from taut.errors import InputError

if TYPE_CHECKING:
    from taut.fitted import Posterior
    from taut.recipe import ProgramRecipe

__all__ = ["is_posterior", "posterior_of", "refuse_program", "refuse_unnamed"]


def is_posterior(run: Path) -> bool:
    """Whether a run folder is one of `taut infer`."""
    from taut.runs import RunFolder

    return "posterior" in RunFolder.open(run).read_config()


def refuse_program(run: Path, program: str, *, command: str) -> NoReturn:
    """Raise, as a fit has no program."""
    raise InputError(
        "nothing after the folder of a fit, which has no program", repr(program),
        shlex.join(["taut", command, str(run)]), where=str(run),
    )  # fmt: skip


def refuse_unnamed(run: Path, recipe: "ProgramRecipe", *, command: str) -> NoReturn:
    """Raise, as the program of a posterior is not on the command line.

    Arguments:
        run: run folder.
        recipe: of the run, which may know the program's file.
        command: that asks.
    """
    named = shlex.join(["taut", command, str(run), str(recipe.program or "FILE.py")])
    raise InputError(
        "the program on the command line, as nothing that a run folder names is executed", "none",
        f"`{named}`, if you trust that file", where=str(run),
    )  # fmt: skip


def posterior_of(
    run: Path, source: str | None, *, command: str
) -> tuple["Posterior", "ProgramRecipe", Callable]:
    """The posterior, its recipe and its program.

    Arguments:
        run: run folder.
        source: FILE.py or FILE.py:name, which is executed.
        command: that asks, for the message.

    Raises:
        InputError: no program is named, or not the one that was fitted.
    """
    from taut.cli.infer import program_data, with_found_data
    from taut.fitted import Posterior, load
    from taut.models.program import load_program, support_beside
    from taut.recipe import ProgramRecipe
    from taut.runs import RunFolder

    content = RunFolder.open(run).read_config()
    recipe = with_found_data(ProgramRecipe.from_dict(content, where=str(run / "config.toml")), run)
    if source is None:
        refuse_unnamed(run, recipe, command=command)
    function = load_program(source)
    data = program_data(recipe, function)
    posterior = load(run, like=function, data=data, support=support_beside(function, data))
    assert isinstance(posterior, Posterior)
    return posterior, recipe, function
