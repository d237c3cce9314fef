"""`taut predict`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.output import print_json
from taut.cli.passes import announce_deviations
from taut.cli.rows import all_rows, open_run, parts_of_own, rows_of
from taut.cli.save import check_suffix, free_names, save_table
from taut.cli.whole import Whole
from taut.errors import InputError, counted, refuse_unheard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taut.core import Estimate
    from taut.data import Schema

__all__ = ["predict"]


def predict(
    run: Path,
    data: str | None = None,
    /,
    *,
    num_particles: Whole | None = None,
    split: Literal["train", "validation", "test"] | None = None,
    unseen: Literal["refuse", "missing"] | None = None,
    out: Path | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Predict the target of rows: its classes with their probabilities, or numbers with intervals.

    The run is one of `taut fit DATA --target NAME`. Where rows have a value of the target, it is
    compared with what is predicted; of the file that the run was fitted to, in the test rows alone.

    Parameters
    ----------
    run
        Run folder.
    data
        Rows with the run's columns, all of which are predicted; they need no column of the target.
        [default: the run's own test rows]
    num_particles
        Draws of the latents for each row and class, where the target is a column of a model that is not
        exact. [default: 200]
    split
        Part of the run's own data. [default: test]
    unseen
        What to do about a category of DATA, or a class of its target, that the fit has not seen: refuse
        it, or read it as missing. [default: refuse]
    out
        .csv or .parquet. [default: RUN/predictions.csv]
    seed
        Random seed of the draws.
    json
        Print the scores, and where the table is, as JSON.
    """
    import numpy as np

    from taut.fitted.predicting import predict as predict_rows
    from taut.fitted.predicting import prediction_scores

    if data is not None and split is not None:
        raise InputError(
            "--split with the run's own data", f"'{data}'", "leaving out --split", where="split"
        )
    if data is None:
        refuse_unheard(
            {"unseen": unseen}, "DATA", "the run's own data, all of whose categories are seen"
        )
    fitted = open_run(run)
    out = check_suffix(out or run / "predictions.csv", (".csv", ".parquet"))
    unknown = unseen or "refuse"
    rows = (
        rows_of(fitted, data=None, split=split)
        if data is None
        else all_rows(fitted, data, unseen=unknown, unseen_classes=unknown)
    )
    found = predict_rows(fitted, rows, num_particles=num_particles, key=seed)
    table, columns = _table(found, fitted.schema)
    save_table(out, table, columns, index=rows.index)
    if dates := fitted.schema.dates_of_target:
        announce_deviations({found.target: dates})
    part = None if data is None else parts_of_own(fitted, data, rows)
    tested, predicted = rows, found
    if part is not None:
        print(
            f"note: {data} holds the rows that the run was fitted to: scores are those of its test rows",
            file=sys.stderr,
        )
        chosen = np.flatnonzero([name == "test" for name in part])
        tested, predicted = rows[chosen], found.select(chosen)
    scores = prediction_scores(fitted, tested, predicted, num_particles=num_particles, key=seed)
    if json:
        told = {name: estimate.to_dict() for name, estimate in scores.items()}
        content = {"rows": len(rows), "unseen": rows.unseen, "out": str(out), "scores": told}
        content |= {} if part is None else {"training_rows": part.count("train")}
        print_json(content)
        return
    _print_scores(scores)
    if rows.unseen:
        print(
            f"{counted(rows.unseen, 'cell')} of categories that the fit has not seen, read as missing"
        )
    print(f"{found.target} of {counted(len(rows), 'row')} predicted: {out}")


def _print_scores(scores: "Mapping[str, Estimate]") -> None:
    if not scores:
        return
    from rich.console import Console

    from taut.report import tables
    from taut.report.words import ESTIMATES

    tables.summary_table(Console(), {ESTIMATES[n]: e for n, e in scores.items()}, facts={})


def _table(found: Any, schema: "Schema") -> tuple[tuple[Any, ...], list[str]]:
    """The columns of a prediction and their names; dates are written as their source has them."""
    import numpy as np

    from taut.data import as_written
    from taut.fitted.prediction import ClassPrediction

    if isinstance(found, ClassPrediction):
        names = [f"p({found.target}={name})" for name in found.classes]
        return (found.labels, *found.probabilities.T), [found.target, *names]
    mean, low, high = found.mean, found.low, found.high
    if dates := schema.dates_of_target:
        mean, low, high = as_written(np.stack([mean, low, high], axis=1), [dates] * 3)
    table = (mean, found.deviation, low, high)
    return table, [found.target, *free_names(["deviation", "low", "high"], [found.target])]
