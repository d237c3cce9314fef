"""`taut sample`, `taut reconstruct`, `taut encode` and `taut interpolate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.output import print_json
from taut.cli.passes import announce_line, announce_sampling, announce_totals
from taut.cli.rows import open_run, rows_numbered, rows_of
from taut.cli.save import check_suffix, save_figure, save_table
from taut.cli.whole import Whole
from taut.errors import InputError, counted

if TYPE_CHECKING:
    from taut.api import Fit

__all__ = ["column_names", "encode", "interpolate", "reconstruct", "sample", "table_of"]

_Json = Annotated[bool, Parameter(negative=())]
_Split = Literal["train", "validation", "test"]


def sample(
    run: Path,
    /,
    *,
    num_samples: Annotated[Whole, Parameter(alias="-n")] = 64,
    given: Annotated[list[str] | None, Parameter(negative=())] = None,
    num_particles: Whole | None = None,
    out: Path | None = None,
    mean: Annotated[bool, Parameter(negative=())] = False,
    seed: Whole = 0,
    json: _Json = False,
) -> None:
    """Draw new rows x ~ p(x) from a fitted model, or rows of which some columns are given.

    Parameters
    ----------
    run
        Run folder.
    num_samples
        Number of rows to draw.
    given
        Columns with their values, such as age=40,sex=F: the others are drawn given these.
    num_particles
        Draws of the latents that are weighted by what is given, of a model without exact conditionals.
        [default: 10000]
    out
        .png for a picture, .npy, .csv or .parquet for the numbers. [default: RUN/samples.png]
    mean
        Show E[x | z] for drawn z instead of drawing x as well.
    seed
        Random seed of the draws.
    json
        Print where the samples are as JSON.
    """
    import numpy as np

    fitted = open_run(run)
    announce_sampling(fitted.pair)
    out = check_suffix(out or run / "samples.png", (".png", ".npy", ".csv", ".parquet"))
    if given:
        from taut.data.one_row import named_values
        from taut.fitted.conditioning import sample_given

        found = sample_given(
            fitted, named_values(given, column_names(fitted), where="given"),
            num_samples=num_samples, num_particles=num_particles, key=seed, mean=mean,
        )  # fmt: skip
        x, effective = np.asarray(found.x), found.effective
    else:
        announce_totals(fitted)
        drawn = fitted.sample(num_samples, key=seed, mean=mean, num_particles=num_particles)
        x, effective = np.asarray(drawn), None
    if out.suffix == ".png":
        save_figure("samples", out, x, data=None, of=fitted)
    else:
        save_table(out, table_of(fitted, x), column_names(fitted), array=x, as_came=True)
    _done(json, "samples", num_samples, out, effective=effective)


def reconstruct(
    run: Path,
    /,
    *,
    num_rows: Annotated[Whole, Parameter(alias="-n")] = 16,
    data: str | None = None,
    split: _Split | None = None,
    out: Path | None = None,
    json: _Json = False,
) -> None:
    """Encode rows and decode them again, beside the originals.

    Parameters
    ----------
    run
        Run folder.
    num_rows
        How many rows, from the first.
    data
        Other rows than the run's own; they must fit its columns.
    split
        Part of the run's own data. [default: test]
    out
        .png for a picture; .csv or .parquet for the numbers, with those of the rows in their data set
        in a column `row`; or .npy. [default: RUN/reconstructions.png]
    json
        Print where they are as JSON.
    """
    import numpy as np

    fitted = open_run(run)
    out = check_suffix(out or run / "reconstructions.png", (".png", ".npy", ".csv", ".parquet"))
    if num_rows < 1:
        raise InputError("at least one row", f"{num_rows}", "16", where="num-rows")
    rows = rows_of(fitted, data=data, split=split)[:num_rows]
    x = rows.x
    mean = np.asarray(fitted.reconstruct(x))
    if out.suffix == ".png":
        save_figure("reconstructions", out, x, mean, of=fitted)
    else:
        save_table(
            out, table_of(fitted, mean), column_names(fitted), array=mean, index=rows.index,
            as_came=True,
        )  # fmt: skip
    _done(json, "reconstructions", len(mean), out)


def encode(
    run: Path,
    data: str | None = None,
    /,
    *,
    split: _Split | None = None,
    out: Path | None = None,
    json: _Json = False,
) -> None:
    """Write the latent features of rows: the mean of q(z | x), one line a row.

    Parameters
    ----------
    run
        Run folder.
    data
        Rows to encode; they must fit the run's columns. Of the file that the run was fitted to, its test
        rows are taken. [default: the run's own test rows]
    split
        Part of the run's own data. [default: test]
    out
        .csv, .parquet or .npy. [default: RUN/latents.csv]
    json
        Print where they are as JSON.
    """
    import numpy as np

    from taut.data import label_names

    fitted = open_run(run)
    out = check_suffix(out or run / "latents.csv", (".csv", ".parquet", ".npy"))
    rows = rows_of(fitted, data=data, split=split)
    z = np.asarray(fitted.encode(rows))
    save_table(
        out, z, [f"z{i}" for i in range(z.shape[1])], index=rows.index, label=label_names(rows)
    )
    _done(json, "latents", len(z), out)


def interpolate(
    run: Path,
    first: Whole,
    second: Whole,
    /,
    *,
    num_steps: Annotated[Whole, Parameter(alias="-n")] = 10,
    data: str | None = None,
    split: _Split | None = None,
    out: Path | None = None,
    json: _Json = False,
) -> None:
    """Decode the straight line between the encodings of two rows.

    Parameters
    ----------
    run
        Run folder.
    first
        Number of a row in its data set, counted from 0, as `taut evaluate` names it.
    second
        Number of another.
    num_steps
        Points on the line, ends included.
    data
        Other rows than the run's own; they must fit its columns.
    split
        Part of the run's own data. [default: all, test rows first]
    out
        .png for a picture, .npy, .csv or .parquet for the numbers. [default: RUN/interpolation.png]
    json
        Print where they are as JSON.
    """
    import numpy as np

    fitted = open_run(run)
    out = check_suffix(out or run / "interpolation.png", (".png", ".npy", ".csv", ".parquet"))
    ends = rows_numbered(fitted, {"FIRST": first, "SECOND": second}, data=data, split=split)
    announce_line(fitted)
    path = np.asarray(fitted.interpolate(*ends, num_steps=num_steps))
    if out.suffix == ".png":
        save_figure("interpolation", out, path[None], ends=np.stack(ends)[None], of=fitted)
    else:
        save_table(out, table_of(fitted, path), column_names(fitted), array=path, as_came=True)
    _done(json, "steps", num_steps, out)


def column_names(fitted: "Fit") -> list[str]:
    """Of the columns of a fit's rows, counted where they have none."""
    schema = fitted.schema
    return list(schema.columns or (f"x{i}" for i in range(schema.size)))


def table_of(fitted: "Fit", x: Any) -> tuple[Any, ...]:
    """Rows column by column, as a table has them: with names in place of codes where there are some."""
    from taut.data import as_written

    flat = x.reshape(len(x), -1)
    columns = fitted.schema.written
    return tuple(flat.T) if columns is None else as_written(flat, columns)


def _done(json: bool, what: str, count: int, out: Path, *, effective: float | None = None) -> None:
    if json:
        more = {} if effective is None else {"effective_draws": effective}
        print_json({"what": what, "count": count, "out": str(out), **more})
        return
    said = f"latents of {counted(count, 'row')}" if what == "latents" else counted(count, what[:-1])
    print(f"{said}: {out}")
    if effective is not None:
        print(f"effective draws of the latents, given these columns: {effective:,.0f}")
