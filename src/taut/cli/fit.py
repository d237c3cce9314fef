"""`taut fit`."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from taut.cli.placement import Placement
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.recipe import Recipe

__all__ = ["fit_command", "run_asked", "run_fit"]


def fit_command(arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the options that help shows for these arguments."""
    from taut.architectures import ARCHITECTURES
    from taut.cli.flags import choices_on, given, options_class
    from taut.recipe import CHOICES, options, read_config

    choices = {table: tuple(registry) for table, registry in CHOICES.items()}
    model = choices_on(arguments, choices).get("model", "vae")
    inference = ARCHITECTURES[model].default_inference
    defaults = {"model": "vae", "bound": "elbo", "inference": inference}
    flags: Any = options_class(arguments, options().values(), choices, defaults)

    def fit(
        data: str | None = None,
        /,
        *,
        out: Path | None = None,
        config: Path | None = None,
        force: Annotated[bool, Parameter(negative=())] = False,
        json: Annotated[bool, Parameter(negative=())] = False,
        place: Annotated[Placement | None, Parameter(name="*")] = None,
        options: Annotated[flags | None, Parameter(name="*")] = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        """Fit a model to data, measure it on held-out rows, and write a run folder.

        Which options there are depends on the choices: `taut fit --model vq --help` lists those of vq.

        Parameters
        ----------
        data
            `digits` (bundled), `mnist:FOLDER`, a file (.npy, .npz, .mat, .mtx, .h5ad, .csv, .tsv,
            .parquet), a folder of images, or `train,valid,test` files.
        out
            Run folder. [default: runs/DATA-MODEL-N]
        config
            TOML file of options, such as the config.toml of a run; options given here win.
        force
            Replace the run that is in --out.
        json
            Print the results as JSON on standard output.
        """
        from_file = read_config(config) if config else {}
        asked = {**from_file, **given(options)}
        run_asked(data, asked, out, of="fit", force=force, json=json, place=place)

    return fit


def run_asked(
    data: str | None,
    asked: dict[str, Any],
    out: Path | None,
    *,
    of: str,
    force: bool,
    json: bool,
    place: Placement | None,
) -> None:
    """What a command does once its options are read.

    Arguments:
        data: where the rows are, as typed; None for what the options name.
        asked: options by their flat names, `data` among them where a file named it.
        out: run folder; None for the next free one.
        of: the command.
        force: replace a run that is there.
        json: print JSON.
        place: where to compute; None for one device of this host.
    """
    from taut.recipe import recipe_of

    named = asked.pop("data", None)
    source = data or named
    if source is None:
        raise InputError("DATA", "none", f"`taut {of} digits`", where=of)
    run_fit(source, recipe_of(asked), out, force=force, json=json, place=place)


def run_fit(
    source: str,
    recipe: "Recipe",
    out: Path | None,
    *,
    force: bool = False,
    resume: bool = False,
    json: bool = False,
    place: Placement | None = None,
) -> None:
    """Fit or go on fitting, print the results, draw the figures.

    Arguments:
        source: where the rows are.
        recipe: choices and options.
        out: run folder; None for the next free one.
        force: replace a run that is there.
        resume: go on with it.
        json: print JSON.
        place: where to compute; None for one device of this host.
    """
    import taut
    from taut.cli.output import em_display, finish_em, finish_fit, training_display
    from taut.cli.passes import announce
    from taut.cli.rows import load_source
    from taut.core.hosts import writes
    from taut.inference import AbstractExact
    from taut.runs import RunFolder, claimed_next

    exact = isinstance(recipe.inference, AbstractExact)
    with ExitStack() as held:
        held.enter_context((place or Placement()).entered())
        first = writes()
        if first:
            held.enter_context(RunFolder.for_writing(out, force=force, resume=resume))
        loaded = load_source(source, recipe)
        recipe = replace(recipe, data=loaded.options)
        if first and not exact:
            announce(recipe.model, loaded.schema, recipe.gradient)
        name = f"{loaded.schema.name}-{recipe.model.name}"
        folder = None if not first else out or held.enter_context(claimed_next("runs", name))
        with (em_display if exact else training_display)(quiet=json or not first) as progress:
            fitted = taut.fit(
                loaded, recipe=recipe, out=folder, force=force, resume=resume, progress=progress
            )
        if folder is not None:
            (finish_em if exact else finish_fit)(fitted, loaded, folder, json=json)
