"""`taut em`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from taut.errors import InputError

if TYPE_CHECKING:
    from taut.recipe import Recipe

__all__ = ["em_command", "run_em"]


def em_command(arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the options that help shows for these arguments."""
    from taut.architectures import ARCHITECTURES
    from taut.cli.flags import given, options_class
    from taut.data import can_stream
    from taut.inference import INFERENCES, AbstractExact
    from taut.recipe import component_range, options, read_config, recipe_of

    exact = [n for n, cls in INFERENCES.items() if issubclass(cls, AbstractExact)]
    models = [n for n, cls in ARCHITECTURES.items() if cls.default_inference in exact]
    flags: Any = options_class(
        arguments,
        [o for o in options().values()
         if o.table in ("model", "inference", "data") and o.field not in ("components", "candidates")],
        {"model": models, "inference": exact},
        {"model": "gmm", "inference": "em"},
    )  # fmt: skip

    def em(
        data: str | None = None,
        /,
        *,
        components: str | None = None,
        online: Annotated[bool, Parameter(negative=())] = False,
        out: Path | None = None,
        config: Path | None = None,
        force: Annotated[bool, Parameter(negative=())] = False,
        json: Annotated[bool, Parameter(negative=())] = False,
        options: Annotated[flags | None, Parameter(name="*")] = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        """Fit a model with exact evidence by EM, measure it on held-out rows, and write a run folder.

        Parameters
        ----------
        data
            `digits` (bundled), `mnist:FOLDER`, a file (.npy, .npz, .mat, .csv, .tsv, .parquet), a folder
            of images, or `train,valid,test` files.
        components
            Number of components or factors, or several to choose from: 5, 1-10, or 2,4,8. [default: 4]
        online
            One M-step per batch (`--inference online-em`); the rows of a .npy file then stay on disk.
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
        if online:
            asked["inference"] = "online-em"
        if components is not None:
            numbers = component_range(components)
            asked |= {"components": numbers[0], "candidates": numbers if len(numbers) > 1 else None}
        source = data or asked.get("data")
        asked.pop("data", None)
        if source is None:
            raise InputError("DATA", "none", "`taut em digits`", where="em")
        if out is not None:
            from taut.runs import RunFolder

            RunFolder.check_free(out, force=force)
        if asked.get("inference") == "online-em" and can_stream(source):
            asked.setdefault("stream", "yes")
        run_em(source, recipe_of(asked, model="gmm"), out, force=force, json=json)

    return em


def run_em(
    source: str, recipe: "Recipe", out: Path | None, *, force: bool = False, json: bool = False
) -> None:
    """Fit, draw the figures, print the results; arguments as of `run_fit`."""
    import taut
    from taut.cli.output import finish_em
    from taut.cli.rows import load_source
    from taut.runs import next_run

    loaded = load_source(source, recipe)
    recipe = replace(recipe, data=loaded.options)
    folder = out or next_run("runs", f"{loaded.schema.name}-{recipe.model.name}")
    with _progress(quiet=json) as progress:
        fitted = taut.fit(loaded, recipe=recipe, out=folder, force=force, progress=progress)
    finish_em(fitted, loaded, folder, json=json)


def _progress(*, quiet: bool) -> Any:
    """A status line on standard error; nothing when it is not a terminal."""
    import contextlib

    from rich.console import Console

    console = Console(stderr=True)

    @contextlib.contextmanager
    def display() -> Any:
        if quiet or not console.is_terminal:
            yield None
            return
        with console.status("EM") as status:
            yield lambda p: status.update(
                f"{p.components} components, start {p.restart + 1}, iteration {p.iteration}: "
                f"{p.log_evidence:.4f} nats per row"
            )

    return display()
