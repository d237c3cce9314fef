"""`taut impute`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from taut.cli.explore import column_names, table_of
from taut.cli.output import print_json
from taut.cli.passes import announce_deviations
from taut.cli.rows import all_rows, open_run, rows_of
from taut.cli.save import check_suffix, free_names, remove_beside, save_table
from taut.cli.whole import Whole
from taut.errors import InputError, counted, option

__all__ = ["impute"]


def impute(
    run: Path,
    data: str | None = None,
    /,
    *,
    draws: Whole = 0,
    num_particles: Whole | None = None,
    recorded: Annotated[bool, Parameter(negative=())] = False,
    split: Literal["train", "validation", "test"] | None = None,
    out: Path | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fill in the missing cells of rows: the mean of a number, the most probable category.

    Beside the table FILE goes FILE-sd with the standard deviation of each filled cell, or the
    probability that its category is another one, and 0 where a cell was observed. Rows of a file come as
    they stand there; those of a part of the run's own data have their numbers in a column `row`, or
    `row_` where the data have a column of that name.

    Parameters
    ----------
    run
        Run folder.
    data
        Rows with holes, of the run's columns, all of which are filled in, whether the run was fitted to
        them or not. [default: the run's own test rows]
    draws
        Also write so many joint draws of the missing cells, to FILE-draws with a column `draw`.
    num_particles
        Draws of the latents of each row, by whose weights all numbers are made, of a model that is not
        exact. [default: 1000]
    recorded
        Draw numbers of a column in which the rows that the run was fitted to have few values, such as
        ages or ratings, among these.
    split
        Part of the run's own data. [default: test]
    out
        .csv, .parquet or .npy. [default: RUN/imputed.csv]
    seed
        Random seed of the draws.
    json
        Print where the tables are as JSON.
    """
    import numpy as np

    if data is not None and split is not None:
        raise InputError(
            "--split with the run's own data", f"'{data}'", "leaving out --split", where="split"
        )
    if recorded and not draws:
        raise InputError(
            "draws, which recorded values are for", "none", option("draws", 5), where="recorded"
        )
    fitted = open_run(run)
    out = check_suffix(out or run / "imputed.csv", (".csv", ".parquet", ".npy"))
    rows = rows_of(fitted, data=None, split=split) if data is None else all_rows(fitted, data)
    found = fitted.impute(rows, draws=draws, num_particles=num_particles, key=seed)
    if recorded:
        found = found.recorded(rows_of(fitted, data=None, split="train"))
    names = column_names(fitted)
    beside = {name: out.with_stem(f"{out.stem}-{name}") for name in ("sd", "draws")}
    remove_beside(beside.values())
    if not draws:
        del beside["draws"]
    index = rows.index if data is None else None
    save_table(
        out, table_of(fitted, found.mode), names, array=found.mode, index=index, as_came=True
    )
    flat = found.deviation.reshape(len(rows), -1)
    save_table(beside["sd"], flat, names, array=found.deviation, index=index)
    kinds, filled = fitted.schema.kinds or (), (flat > 0).any(axis=0)
    announce_deviations({names[i]: kinds[i] for i in np.flatnonzero(filled) if i < len(kinds)})
    if draws:
        every = found.draws.reshape(draws * len(rows), *found.mode.shape[1:])
        turn = np.repeat(np.arange(1, draws + 1), len(rows))
        save_table(
            beside["draws"], (turn, *table_of(fitted, every)), [*free_names(["draw"], names), *names],
            array=found.draws, as_came=True,
            index=None if index is None else np.tile(index, draws),
        )  # fmt: skip
    if json:
        print_json({"rows": len(rows), "out": str(out), **{n: str(p) for n, p in beside.items()}})
        return
    missing = 0 if rows.mask is None else int((~rows.mask).sum())
    print(f"{counted(missing, 'missing cell')} of {counted(len(rows), 'row')} filled in: {out}")
    for name, path in beside.items():
        print(f"{name}: {path}")
