"""`taut score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.explore import column_names
from taut.cli.output import print_json, waiting
from taut.cli.rows import all_rows, open_run, parts_of_own, rows_of
from taut.cli.save import check_suffix, remove_beside, save_table
from taut.cli.whole import Whole
from taut.errors import InputError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taut.data import Dataset
    from taut.fitted import Fit
    from taut.fitted.scoring import Scores

__all__ = ["score"]

_SHOWN = 5  # rows


def score(
    run: Path,
    data: str | None = None,
    /,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    out: Path | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Score rows by how odd they are: -log p(x) in nats, and where that is among held-out rows.

    A quantile of 0.99 says that 99 of 100 held-out rows are more probable. Of mixtures and factor models
    FILE-columns tells by how many nats each cell is less probable, given the rest of its row, than the
    model expects of its column.

    Parameters
    ----------
    run
        Run folder.
    data
        Rows to score, all of them; they must fit the run's columns. Of the file that the run was fitted
        to, a column says to which part of the split each row belongs, and nothing of those that the fit
        dropped. [default: the run's test rows]
    split
        Part of the run's own data. [default: test]
    out
        .csv or .parquet. [default: RUN/scores.csv]
    seed
        Random seed of the draws, where log p(x) is estimated.
    json
        Print the oddest rows, and where the tables are, as JSON.
    """
    from taut.data import label_names
    from taut.fitted.scoring import score as scored

    fitted = open_run(run, whole=True)
    out = check_suffix(out or run / "scores.csv", (".csv", ".parquet"))
    if data is not None and split is not None:
        raise InputError(
            "--split with the run's own data", f"'{data}'", "leaving out --split", where="split"
        )
    rows = rows_of(fitted, data=None, split=split) if data is None else all_rows(fitted, data)
    part = None if data is None else parts_of_own(fitted, data, rows)
    with waiting(f"scores of {counted(len(rows), 'row')}", quiet=json):
        # A run that was stopped before it was measured has no scores of its test rows.
        test = None if fitted.estimates else rows_of(fitted, data=None, split="test")
        found = scored(fitted, rows, held_out=test, key=seed)
    oddest = _oddest(fitted, rows, found)
    columns = _columns(found, part)
    by_column = out.with_stem(f"{out.stem}-columns")
    remove_beside([by_column])
    beside = None if found.excess is None else by_column
    save_table(out, tuple(columns.values()), [*columns], index=rows.index, label=label_names(rows))
    if beside is not None:
        save_table(beside, found.excess, column_names(fitted), index=rows.index)
    if json:
        print_json(
            {
                "rows": len(rows), "side": found.score.side, "held_out": found.held_out,
                "resolution": found.resolution, "out": str(out),
                **({} if part is None else {"training_rows": part.count("train")}),
                "oddest": [_plain(row) for row in oddest],
                **({} if beside is None else {"columns": str(beside)}),
                "notes": list(found.notes),
            }
        )  # fmt: skip
        return
    print(f"{counted(len(rows), 'row')} scored, {found.score.side_name}: {out}")
    _print_words(found, oddest, part, beside)


def _columns(found: "Scores", part: "Sequence[str | None] | None") -> dict[str, Any]:
    """The columns of the table of rows, by name."""
    columns = {
        "score": found.score.values, "quantile": found.quantile,
        "error": found.errors, "khat": found.khat, "part": part,
    }  # fmt: skip
    return {name: values for name, values in columns.items() if values is not None}


def _print_words(
    found: "Scores",
    oddest: list[dict[str, Any]],
    part: "Sequence[str | None] | None",
    beside: Path | None,
) -> None:
    """What there is to know of the scores, and the oddest rows."""
    from taut.fitted.training_rows import trained_words

    of_parts = [] if part is None else [trained_words(part.count("train"), len(part))]
    for note in dict.fromkeys([*of_parts, *found.notes]):
        print(note)
    if beside is not None:
        print(f"by column: {beside}")
    print(
        f"the oddest, with their quantiles among {counted(found.held_out, 'held-out row')} "
        f"(in steps of {found.resolution:.2g}):"
    )
    for row in oddest:
        cell = f", {row['column']} {row['excess']:+.1f} nats" if "column" in row else ""
        print(f"  row {row['row']}: {row['score']:.2f} nats, {row['quantile']:.4f}{cell}")


def _oddest(fitted: "Fit", rows: "Dataset", found: "Scores") -> list[dict[str, Any]]:
    """The rows with the highest scores, each with the cell that is most to blame where that is known."""
    import numpy as np

    values = np.asarray(found.score.values)
    shown = []
    for i in np.argsort(-values, kind="stable")[:_SHOWN]:
        row: dict[str, Any] = {
            "row": int(rows.index[i]), "score": float(values[i]),
            "quantile": float(found.quantile[i]),
        }  # fmt: skip
        if found.excess is not None:
            worst = int(np.argmax(found.excess[i]))
            row |= {
                "column": column_names(fitted)[worst], "excess": float(found.excess[i, worst])
            }  # fmt: skip
        shown.append(row)
    return shown


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The row as JSON takes it."""
    from taut.core.json_numbers import number_or_word

    return {name: number_or_word(v) if isinstance(v, float) else v for name, v in row.items()}
