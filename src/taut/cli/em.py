"""`taut em`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from taut.cli.placement import Placement
from taut.errors import InputError, option

__all__ = ["em_command"]


def em_command(arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the options that help shows for these arguments."""
    from taut.architectures import ARCHITECTURES
    from taut.cli.fit import run_asked
    from taut.cli.flags import given, options_class
    from taut.data import can_stream
    from taut.inference import INFERENCES, AbstractExact
    from taut.recipe import component_range, options, read_config

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
        place: Annotated[Placement | None, Parameter(name="*")] = None,
        options: Annotated[flags | None, Parameter(name="*")] = None,  # pyright: ignore[reportInvalidTypeForm]
    ) -> None:
        """Fit a model with exact evidence by EM, measure it on held-out rows, and write a run folder.

        Parameters
        ----------
        data
            `digits` (bundled), `mnist:FOLDER`, a file (.npy, .npz, .mat, .mtx, .h5ad, .csv, .tsv,
            .parquet), a folder of images, or `train,valid,test` files.
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
        _refuse_others(asked, {"model": models, "inference": exact})
        if online:
            _refuse_both(vars(options or flags()).get("inference"))
            asked["inference"] = "online-em"
        if components is not None:
            numbers = component_range(components)
            asked |= {"components": numbers[0], "candidates": numbers if len(numbers) > 1 else None}
        if asked.get("inference") == "online-em" and can_stream(data or asked.get("data")):
            asked.setdefault("stream", "yes")
        run_asked(
            data, {"model": "gmm", **asked}, out, of="em", force=force, json=json, place=place
        )

    return em


def _refuse_others(asked: Mapping[str, Any], served: Mapping[str, Sequence[str]]) -> None:
    """Refuse a choice, in one of its tables, that EM does not serve."""
    for table, names in served.items():
        if asked.get(table, names[0]) not in names:
            raise InputError(
                f"one of {', '.join(names)}", repr(asked[table]),
                f"`taut fit` with {option(table, asked[table])}", where=table,
            )  # fmt: skip


def _refuse_both(inference: str | None) -> None:
    """Refuse online EM beside another inference."""
    if inference not in (None, "online-em"):
        raise InputError(
            f"{option('online')}, or another {option('inference')}", "both",
            f"leaving out {option('online')}", where="online",
        )  # fmt: skip
