"""`taut em`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from taut.cli.options import FitOptions
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.api import Fit

__all__ = ["EMOptions", "component_range", "em"]

_MODEL = Group("Model", sort_key=1)
_EM = Group("EM", sort_key=2)
_DATA = Group("Data", sort_key=3)
_OF_DATA = ("split", "split_seed", "label", "drop", "missing", "binarize", "support", "image_shape")


@Parameter(name="*")
@dataclass(frozen=True)
class EMOptions:
    """Everything that `taut em` can be told beside DATA and where to write."""

    model: Annotated[Literal["gmm", "lca", "ppca", "fa"] | None, Parameter(group=_MODEL)] = None
    """Gaussian mixture, latent class analysis, probabilistic PCA or factor analysis. [default: gmm]"""
    components: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Number of components or factors, or several to choose from: 5, 1-10, or 2,4,8. [default: 4]"""
    covariance: Annotated[
        Literal["full", "tied", "diag", "spherical"] | None, Parameter(group=_MODEL)
    ] = None
    """Covariances of a Gaussian mixture. [default: full]"""
    select: Annotated[Literal["evidence", "bic"] | None, Parameter(group=_MODEL)] = None
    """What decides among several: log-evidence of the validation rows, or BIC. [default: evidence]"""

    restarts: Annotated[int | None, Parameter(group=_EM)] = None
    """Random starts, of which the best is kept. [default: 4 for mixtures, 1 for factors]"""
    tolerance: Annotated[float | None, Parameter(group=_EM)] = None
    """Stop when an iteration gains less, nats per row. [default: 1e-6, 1e-10 for factors]"""
    max_iterations: Annotated[int | None, Parameter(group=_EM)] = None
    """Iterations at most. [default: 1000, 20000 for factors]"""
    floor: Annotated[float | None, Parameter(group=_EM)] = None
    """What keeps parameters off the boundary: share of the data's variance, or rows per value of a
    latent class; 0 for maximum likelihood. [default: 1e-6; 1 for lca]"""
    reg_covar: Annotated[float | None, Parameter(group=_EM)] = None
    """Add this to covariance diagonals instead of a floor, as scikit-learn does."""
    closed_form: Annotated[bool, Parameter(group=_EM, negative=())] = False
    """Probabilistic PCA by eigenvectors instead of EM."""
    online: Annotated[bool, Parameter(group=_EM, negative=())] = False
    """One M-step per batch; a .npy file then stays on disk."""
    passes: Annotated[float | None, Parameter(group=_EM)] = None
    """Of online EM over the data. [default: 1]"""
    batch_size: Annotated[int | None, Parameter(group=_EM)] = None
    """Rows a batch of online EM. [default: 10000]"""
    seed: Annotated[int | None, Parameter(group=_EM)] = None
    """Everything random follows from it. [default: 0]"""

    split: Annotated[str | None, Parameter(group=_DATA)] = None
    """Shares of training, validation and test rows. [default: 0.8,0.1,0.1]"""
    split_seed: Annotated[int | None, Parameter(group=_DATA)] = None
    """Which rows go where; apart from --seed, so that fits compare on the same rows. [default: 0]"""
    label: Annotated[str | None, Parameter(group=_DATA)] = None
    """Column that is a label, not data."""
    drop: Annotated[str | None, Parameter(group=_DATA)] = None
    """Columns that are not data, with commas between them."""
    missing: Annotated[Literal["refuse", "drop-rows"] | None, Parameter(group=_DATA)] = None
    """What to do about rows with missing cells. [default: refuse]"""
    binarize: Annotated[Literal["none", "static", "threshold"] | None, Parameter(group=_DATA)] = (
        None
    )
    """How grey values become binary. [default: none]"""
    support: Annotated[
        Literal["binary", "grey", "unit", "count", "real"] | None, Parameter(group=_DATA)
    ] = None
    """What the values are, where they look like something else. [default: inferred]"""
    image_shape: Annotated[str | None, Parameter(group=_DATA)] = None
    """Height and width of images stored as flat rows, such as 28,28."""

    def given(self) -> dict[str, Any]:
        """The options that were given, by name with hyphens, as config.toml holds them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            k.replace("_", "-"): v for k, v in values.items() if v is not None and v is not False
        }


def em(
    data: str,
    /,
    *,
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    options: EMOptions | None = None,
) -> None:
    """Fit a model with exact evidence by EM, measure it on held-out rows, and write a run folder.

    Parameters
    ----------
    data
        `digits` (bundled), `mnist:FOLDER`, a file (.npy, .npz, .mat, .csv, .tsv, .parquet), a folder
        of images, or `train,valid,test` files.
    out
        Run folder. [default: runs/DATA-MODEL-N]
    force
        Replace the run that is in --out.
    json
        Print the results as JSON on standard output.
    """
    given = options or EMOptions()
    components = component_range(given.components)
    name = given.model or "gmm"
    _refuse_unserved(given, name)

    from taut.runs.run_folder import RunFolder, next_run

    if out is not None:
        RunFolder.check_free(out, force=force)

    import taut
    from taut.architectures import ARCHITECTURES
    from taut.cli.rows import load_source

    own = {n: getattr(given, n) for n in _OF_DATA}
    stays = given.online and data.endswith(".npy")
    source = (
        data if stays else load_source(data, FitOptions(precision="float64", stream="no", **own))
    )
    choices = {"covariance": given.covariance} if given.covariance else {}
    stem = Path(data).stem if isinstance(source, str) else source.schema.name
    folder = out or next_run("runs", f"{stem}-{name}")
    with _progress(quiet=json) as progress:
        fitted = taut.em(
            source,
            model=ARCHITECTURES[name](**choices),  # type: ignore[arg-type]
            components=components,
            select=given.select or "evidence",
            restarts=given.restarts,
            floor=given.floor,
            reg_covar=given.reg_covar or 0.0,
            tolerance=given.tolerance,
            max_iterations=given.max_iterations,
            closed_form=given.closed_form,
            online=given.online,
            passes=1.0 if given.passes is None else given.passes,
            batch_size=10_000 if given.batch_size is None else given.batch_size,
            key=given.seed or 0,
            out=folder,
            force=force,
            settings={"data": data, "model": name, **given.given(), "precision": "float64"},
            progress=progress,
        )
    _finish(fitted, source, folder, json=json)


def component_range(text: str | None) -> tuple[int, ...] | None:
    """ "5" as (5,), "1-4" as (1, 2, 3, 4), "2,4,8" as (2, 4, 8).

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    numbers: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.strip().partition("-")
            numbers += range(int(low), int(high or low) + 1)
    except ValueError:
        numbers = []
    if not numbers:
        raise InputError(
            "a number, a range or a list of them",
            repr(text),
            "5, 1-10 or 2,4,8",
            where="components",
        )
    return tuple(numbers)


def _refuse_unserved(given: EMOptions, name: str) -> None:
    """Options that belong to another model or another way of fitting."""
    owners = {"covariance": "gmm", "reg_covar": "gmm"}
    for option, owner in owners.items():
        if getattr(given, option) is not None and name != owner:
            flag = option.replace("_", "-")
            raise InputError(
                f"--{flag} with --model {owner}", f"--model {name}", f"leaving out --{flag}",
                where=flag,
            )  # fmt: skip
    for option in ("passes", "batch_size"):
        if getattr(given, option) is not None and not given.online:
            flag = option.replace("_", "-")
            raise InputError(
                f"--{flag} with --online", "EM over all rows", f"leaving out --{flag}", where=flag
            )


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


def _finish(fitted: "Fit", source: Any, folder: Path, *, json: bool) -> None:
    """Figures and tables into the run folder, results onto standard output."""
    from taut.cli.em_tables import write_tables
    from taut.cli.output import print_json, results

    _draw(fitted, folder / "figures")
    tables = write_tables(fitted, source, folder)
    if json:
        content = {"run": str(folder), **results(fitted.estimates), "facts": dict(fitted.facts)}
        print_json({**content, "tables": [str(path) for path in tables]})
        return
    from rich.console import Console

    from taut.report import tables as terminal

    names = {
        "log_evidence": "held-out log-evidence",
        "independent_columns": "log-evidence, independent columns",
    }
    facts = {k: str(v) for k, v in fitted.facts.items() if k != "selection"}
    facts |= {"run": str(folder), "tables": ", ".join(path.name for path in tables)}
    terminal.summary_table(
        Console(), {names[n]: e for n, e in fitted.estimates.items()}, facts=facts
    )


def _draw(fitted: "Fit", folder: Path) -> None:
    import numpy as np

    from taut.report.figures.em import em_evidence, em_selection

    em_evidence(
        folder / "evidence.png",
        steps=np.asarray([record["step"] for record in fitted.history]),
        log_evidence=np.asarray([record["bound"] for record in fitted.history]),
        per="batch" if "batches" in fitted.facts else "iteration",
    )
    curve = fitted.facts.get("selection")
    if curve:
        column = {key: np.asarray([point[key] for point in curve]) for key in curve[0]}
        em_selection(
            folder / "selection.png",
            components=column["components"],
            validation=column["validation log-evidence"],
            validation_error=column["validation error"],
            training=column["training log-evidence"],
            bic=column["bic"],
            chosen=fitted.facts["components"],
            by=fitted.facts["components chosen by"],
        )
