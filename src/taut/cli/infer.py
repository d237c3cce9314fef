"""`taut infer`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from taut.errors import InputError, nearest

if TYPE_CHECKING:
    from taut.api import Posterior

__all__ = ["InferOptions", "batch_sizes", "infer", "print_posterior", "run_infer"]

_GUIDE = Group("Guide", sort_key=1)
_ASCENT = Group("Ascent", sort_key=2)

_NAMES = {"elbo": "ELBO", "log_evidence": "log-evidence", "remaining_gain": "gain that remains"}


@Parameter(name="*")
@dataclass(frozen=True)
class InferOptions:
    """Everything that `taut infer` can be told beside the program, its data and where to write."""

    guide: Annotated[str | None, Parameter(group=_GUIDE)] = None
    """Family of q(z): full-rank, mean-field, low-rank[:RANK], laplace, structured, flow, or the layers
    of a flow, such as spline-coupling:4 or planar:8. [default: full-rank up to 150 coordinates, above
    low-rank:8; structured with --subsample]"""

    precision_nats: Annotated[float | None, Parameter(group=_ASCENT)] = None
    """Stop when less than this remains to be gained. [default: 0.1]"""
    num_starts: Annotated[int | None, Parameter(group=_ASCENT)] = None
    """Starts that climb; the highest goes on. [default: 4]"""
    init: Annotated[Literal["random", "pathfinder"] | None, Parameter(group=_ASCENT)] = None
    """Where they begin: anywhere, or near the bulk by Pathfinder. [default: random]"""
    num_draws: Annotated[int | None, Parameter(group=_ASCENT)] = None
    """Weighted draws for evidence, k-hat and moments. [default: 10000, fewer for many data]"""
    subsample: Annotated[str | None, Parameter(group=_ASCENT)] = None
    """Minibatches over a plate: its name and the rows in a batch, such as rows:1000."""
    precision: Annotated[Literal["float32", "float64"] | None, Parameter(group=_ASCENT)] = None
    """Of all arithmetic. [default: float64]"""
    seed: Annotated[int | None, Parameter(group=_ASCENT)] = None
    """Everything random follows from it. [default: 0]"""

    def given(self) -> dict[str, Any]:
        """The options that were given, by name with hyphens, as config.toml holds them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name.replace("_", "-"): v for name, v in values.items() if v is not None}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "InferOptions":
        """The inverse of `given`.

        Raises:
            InputError: a name that is no option.
        """
        known = {f.name.replace("_", "-") for f in fields(cls)}
        for name in config:
            if name not in known:
                raise InputError(
                    "a known option", f"'{name}'", nearest(name, known), where="config.toml"
                )
        return cls(**{name.replace("-", "_"): value for name, value in config.items()})


def infer(
    program: str,
    /,
    *,
    data: Path | None = None,
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    options: InferOptions | None = None,
) -> None:
    """Fit a guide to the posterior of a program, and say whether to believe it.

    Parameters
    ----------
    program
        FILE.py or FILE.py:name: a NumPyro program, or a log-joint of named parameters with a
        dictionary `support` in the same file. The file is executed.
    data
        JSON file: an object whose names are the program's arguments.
    out
        Run folder. [default: runs/FILE-posterior-N]
    force
        Replace the run that is in --out.
    json
        Print the results as JSON on standard output.
    """
    run_infer(program, data, out, options or InferOptions(), force=force, json=json)


def run_infer(
    program: str,
    data: Path | None,
    out: Path | None,
    given: InferOptions,
    *,
    force: bool,
    json: bool,
) -> None:
    """What `taut infer` does, and `taut resume` again from the start; arguments as of `infer`."""
    batches = batch_sizes(given.subsample)

    from taut.runs.run_folder import RunFolder, next_run

    if out is not None:
        RunFolder.check_free(out, force=force)

    import taut
    from taut.fitted.posterior_files import save_posterior
    from taut.models.program import load_program, read_data, support_beside

    function = load_program(program)
    wishes = {
        "guide": given.guide,
        "precision_nats": given.precision_nats,
        "num_starts": given.num_starts,
        "init": given.init,
        "num_draws": given.num_draws,
        "subsample": batches,
        "precision": given.precision,
        "key": given.seed,
    }
    with _waiting(program, quiet=json):
        fitted = taut.infer(
            function,
            data=read_data(data) if data else {},
            support=support_beside(function),
            **{name: wish for name, wish in wishes.items() if wish is not None},
        )
    stem = (
        Path(program.rpartition(":")[0] or program).stem if ":" in program else Path(program).stem
    )
    folder = out or next_run("runs", f"{stem}-posterior")
    named = {"program": program, "data": None if data is None else str(data)}
    save_posterior(fitted, folder, settings={**named, **given.given()}, force=force)
    _draw(fitted, folder / "figures", given.precision_nats or 0.1)
    print_posterior(folder, json=json)


def batch_sizes(text: str | None) -> dict[str, int] | None:
    """ "rows:1000" as {"rows": 1000}.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    name, colon, size = text.rpartition(":")
    if not (colon and name and size.isdecimal() and int(size) > 0):
        raise InputError("PLATE:ROWS", repr(text), "rows:1000", where="subsample")
    return {name: int(size)}


def print_posterior(run: Path, *, json: bool) -> None:
    """Print what the run folder of a posterior holds: bounds, verdict and coordinates."""
    import polars as pl

    from taut.cli.output import print_json, results
    from taut.runs import RunFolder

    folder = RunFolder.open(run)
    estimates, facts = folder.read_summary()
    columns = pl.read_csv(folder.path / "coordinates.csv").to_dict(as_series=False)
    if json:
        content = {"run": str(run), **results(estimates), "facts": facts}
        print_json({**content, "coordinates": _by_coordinate(columns)})
        return
    from rich.console import Console

    from taut.report import posterior

    console = Console()
    posterior.coordinate_table(console, columns)
    shown = {name: str(value) for name, value in facts.items()}
    posterior.posterior_table(
        console,
        {_NAMES.get(name, name): e for name, e in estimates.items()},
        facts={**shown, "run": str(run), "figures": str(folder.figures)},
    )


def _by_coordinate(columns: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """The columns of coordinates.csv as one object for each coordinate."""
    import math

    def plain(value: Any) -> Any:
        return value if value is None or math.isfinite(value) else str(value)

    return {
        name: {key: plain(column[i]) for key, column in columns.items() if key != "coordinate"}
        for i, name in enumerate(columns["coordinate"])
    }


def _waiting(program: str, *, quiet: bool) -> Any:
    """A status line on standard error; nothing when it is not a terminal."""
    import contextlib

    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return contextlib.nullcontext()
    return console.status(f"fitting {escape(program)}")


def _draw(fitted: "Posterior", folder: Path, precision_nats: float) -> None:
    """Pairs, the bound over rounds, and the tail of the weights."""
    import numpy as np

    from taut.report import figures

    names = fitted.model.coordinates  # what is derived from them shows nothing new
    values = fitted.coordinate_draws()[:, : len(names)]
    own = values[: fitted.num_guide]
    figures.pairs(folder / "pairs.png", values, fitted.weights, own, names)
    figures.weight_tail(folder / "khat.png", fitted.weights, fitted.khat, fitted.khat_threshold)
    if fitted.trace:
        column = {k: np.asarray([getattr(r, k) for r in fitted.trace]) for k in (
            "bound", "bound_error", "gain", "gain_error",
        )}  # fmt: skip
        figures.bound_trace(
            folder / "bound.png",
            steps=np.asarray([r.num_steps for r in fitted.trace]),
            won=np.asarray([r.stretch for r in fitted.trace]),
            precision_nats=precision_nats,
            **column,
        )
