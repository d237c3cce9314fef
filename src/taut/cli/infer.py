"""`taut infer`."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from taut.cli.placement import Placement
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.recipe import ProgramRecipe

__all__ = ["infer_command", "print_posterior", "run_infer", "with_found_data"]


def infer_command(arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the fields of `PosteriorOptions` as options."""
    from taut.cli.flags import given, options_class
    from taut.inference.posterior import PosteriorOptions
    from taut.recipe import ProgramRecipe, batch_sizes, options_of
    from taut.runs import read_toml

    own = options_of(PosteriorOptions, "posterior")
    flags: Any = options_class(arguments, own.values(), {}, {})

    def infer(
        program: str | None = None,
        /,
        *,
        data: Path | None = None,
        out: Path | None = None,
        config: Path | None = None,
        force: Annotated[bool, Parameter(negative=())] = False,
        json: Annotated[bool, Parameter(negative=())] = False,
        place: Annotated[Placement | None, Parameter(name="*")] = None,
        options: Annotated[flags | None, Parameter(name="*")] = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        """Fit a guide to the posterior of a program, and say whether to believe it.

        With --subsample, several devices or hosts share the rows of a minibatch.

        Parameters
        ----------
        program
            FILE.py or FILE.py:name: a NumPyro program, or a log-joint of named parameters with a
            dictionary `support` in the same file. The file is executed.
        data
            JSON file: an object whose names are the program's arguments.
        out
            Run folder. [default: runs/FILE-posterior-N]
        config
            TOML file of options, such as the config.toml of a run; options given here win. It may name
            data, never the program.
        force
            Replace the run that is in --out.
        json
            Print the results as JSON on standard output.
        """
        asked = given(options)
        if "subsample" in asked:
            asked["subsample"] = batch_sizes(asked["subsample"])
        before = ProgramRecipe()
        if config:
            before = ProgramRecipe.from_dict(read_toml(config), where=str(config))
        if program is None:
            raise InputError(
                "PROGRAM", "none", f"`taut infer {before.program or 'FILE.py'}`", where="infer"
            )
        seed = asked.pop("seed", before.seed)
        posterior = {**before.posterior.to_dict(), **asked}
        recipe = ProgramRecipe(
            program, str(data) if data else before.data, PosteriorOptions.from_dict(posterior), seed
        )
        run_infer(recipe, out, force=force, json=json, place=place)

    return infer


def run_infer(
    recipe: "ProgramRecipe",
    out: Path | None,
    *,
    force: bool = False,
    resume: bool = False,
    json: bool = False,
    place: Placement | None = None,
) -> None:
    """Fit or go on fitting, print the results, draw the figures; arguments as of `infer`."""
    from taut.api.inferring import LOST, infer_recipe, refuse_unshared
    from taut.cli.output import waiting
    from taut.core.hosts import writes
    from taut.models.program import load_program, support_beside
    from taut.runs import RunFolder, claimed_next

    program, place = recipe.program, place or Placement()
    assert program is not None  # the command's argument
    if place.hosts is not None:
        refuse_unshared(recipe.posterior)
    stem = Path(program.rpartition(":")[0] or program).stem
    with ExitStack() as held:
        held.enter_context(place.entered(remedy=LOST))
        first = writes()
        if first:
            held.enter_context(RunFolder.for_writing(out, force=force, resume=resume))
        function = load_program(program)
        data = program_data(recipe, function)
        name = f"{stem}-posterior"
        folder = None if not first else out or held.enter_context(claimed_next("runs", name))
        with waiting(f"fitting {program}", quiet=json or not first):
            fitted = infer_recipe(
                function, recipe,
                data=data, support=support_beside(function, data), key=recipe.seed or 0,
                out=folder, force=force, resume=resume,
            )  # fmt: skip
        if folder is None:
            return
        try:
            print_posterior(folder, json=json)
        finally:
            from taut.report.draw_posterior import draw_posterior  # the numbers do not wait for it

            wanted = recipe.posterior.precision_nats
            draw_posterior(fitted, folder / "figures", precision_nats=wanted)


def with_found_data(recipe: "ProgramRecipe", run: Path) -> "ProgramRecipe":
    """The recipe of a run, which knows its data where both were moved together."""
    from taut.cli.rows import found_again

    return recipe if recipe.data is None else replace(recipe, data=found_again(recipe.data, run))


def program_data(recipe: "ProgramRecipe", function: Callable) -> dict[str, Any]:
    """The data of a program from its file, without names that it does not take, of which a note tells.

    A file of data for Stan, say, names sizes that the program reads off the arrays.
    """
    from taut.core.hosts import writes
    from taut.models.program import not_taken, read_data, support_beside

    if recipe.data is None:
        return {}
    data = read_data(Path(recipe.data))
    left = [] if support_beside(function, data) is not None else not_taken(function, data)
    if len(left) == len(data):
        return data  # another program's, which is refused
    if left and writes():
        print(
            f"note: the program does not take {', '.join(left)} of {recipe.data}", file=sys.stderr
        )
    return {name: value for name, value in data.items() if name not in left}


def print_posterior(run: Path, *, json: bool) -> None:
    """Print what the run folder of a posterior holds: bounds, verdict and coordinates."""
    from taut.cli.output import print_json, results
    from taut.fitted.coordinates import read_coordinates
    from taut.fitted.facts import PosteriorFacts, read_facts
    from taut.runs import RunFolder

    folder = RunFolder.open(run)
    estimates, written = folder.read_summary(with_rows=False)
    facts = read_facts(written, where=str(folder.path / "summary.json"))
    assert isinstance(facts, PosteriorFacts)
    columns = read_coordinates(folder.path, facts.coordinates)
    if json:
        content = {"run": str(run), **results(estimates), "facts": facts.to_dict()}
        print_json({**content, "coordinates": _by_coordinate(columns)})
        return
    from rich.console import Console

    from taut.report import posterior
    from taut.report.words import POSTERIOR_ESTIMATES, posterior_words

    console = Console()
    posterior.coordinate_table(console, columns)
    posterior.posterior_table(
        console,
        {POSTERIOR_ESTIMATES.get(name, name): e for name, e in estimates.items()},
        facts={**posterior_words(facts), "run": str(run), "figures": str(folder.figures)},
        notes=facts.notes,
    )


def _by_coordinate(columns: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """The columns of coordinates.csv as one object for each coordinate."""
    from taut.core.json_numbers import number_or_word

    def plain(value: Any) -> Any:
        return None if value is None else number_or_word(value)

    return {
        name: {key: plain(column[i]) for key, column in columns.items() if key != "coordinate"}
        for i, name in enumerate(columns["coordinate"])
    }
