"""`taut explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from taut.cli.explore import table_of
from taut.cli.output import print_json, waiting
from taut.cli.rows import open_run, own_data, rows_of
from taut.cli.save import check_folder
from taut.cli.whole import Whole
from taut.errors import InputError, counted, nearest, option, refuse_unheard

if TYPE_CHECKING:
    from taut.counterfactuals import AbstractTarget, Counterfactuals
    from taut.data import Dataset
    from taut.fitted import Fit

__all__ = ["explain"]

_CONFIDENCE = 0.9
_Flag = Annotated[bool, Parameter(negative=())]
_Words = Annotated[list[str] | None, Parameter(negative=())]


def explain(
    run: Path,
    data: str | None = None,
    /,
    *,
    classifier: str,
    target: str,
    out: Path | None = None,
    confidence: float | None = None,
    geometry: str = "plain",
    plausible: float | None = None,
    refinements: Whole = 0,
    most_unexplained: float = 0.5,
    num_answers: Annotated[Whole, Parameter(alias="--answers")] = 1,
    immutable: _Words = None,
    increase_only: _Words = None,
    decrease_only: _Words = None,
    ranges: Annotated[list[str] | None, Parameter(name="--range", negative=())] = None,
    causal: _Words = None,
    rows: Whole = 16,
    split: Literal["train", "validation", "test"] | None = None,
    black_box: _Flag = False,
    diagnose: _Flag = False,
    seed: Whole = 0,
    json: _Flag = False,
) -> None:
    """What would have to change in rows for a classifier to answer otherwise, along the fitted model.

    The target's score is raised by gradient ascent in the latent space of the run, and brought back to
    the confidence that was asked for. Rows that are in the target class already are left out.

    Parameters
    ----------
    run
        Run folder of a flow, a VAE, a ladder or a factor model.
    data
        Rows to explain; they must fit the run's columns. Of the file that the run was fitted to, its
        test rows are taken. [default: the run's own test rows]
    classifier
        logistic or mlp, trained on the labels of the run's training rows; or FILE.py:name, a function
        from a row to logits or a value, written in JAX, or a PyTorch module. The file is executed.
    target
        A class; LOW..HIGH, an interval of a predicted value; or <NUMBER, an anomaly score below it.
    out
        Folder to write. [default: RUN/explain]
    confidence
        Of the target class. [default: 0.9]
    geometry
        plain, normalised, tangent, pull-back, momentum, adam or x-space.
    plausible
        Quantile of the log-densities of held-out rows that an answer must reach. [default: none]
    refinements
        Steps that refine a row's code from the encoder's mean.
    most_unexplained
        Share of the rows' variation that reconstructions may miss; above it, answers would be about
        the reconstruction.
    num_answers
        How many answers to each row, each from a start of its own.
    immutable
        Column that stays as it is; several with commas between them.
    increase_only
        Column that never becomes less.
    decrease_only
        Column that never becomes more.
    ranges
        COLUMN=LOW:HIGH, least and largest value of a column in answers.
    causal
        CAUSE>EFFECT, columns in causal order, such as "age>education>income": what is downstream of a
        change follows it by the model, and moves nothing upstream.
    rows
        How many rows, from the first.
    split
        Part of the run's own data. [default: test]
    black_box
        The function takes many rows as NumPy arrays and has no gradients, which are estimated.
    diagnose
        Write diagnostics.json as well: singular values, tangent and normal parts of every step.
    seed
        Random seed.
    json
        Print the results as JSON.
    """
    from taut.cli.constraints import asked_constraints
    from taut.counterfactuals import search

    if rows < 1:
        raise InputError("at least one row", f"{rows}", "16", where="rows")
    if plausible is not None and not 0 <= plausible < 1:
        raise InputError(
            "a quantile from 0 to below 1", f"{plausible}", option("plausible", 0.05),
            where=option("plausible"),
        )  # fmt: skip
    fitted = open_run(run)
    folder = check_folder(out or run / "explain")
    given = rows_of(fitted, data=data, split=split)
    constraints = asked_constraints(
        fitted.schema, immutable=immutable or (), increase_only=increase_only or (),
        decrease_only=decrease_only or (), ranges=ranges or (),
        causal=causal or (),
    )  # fmt: skip
    judged, classes, notes = _classifier(fitted, classifier, seed)
    wanted = _target(target, confidence, classes, fitted)
    if not classes and not black_box:
        _check_units(fitted, judged, given)
    chosen, kept = _unlike(given, target, classes, fitted, rows)
    floor_rows = None if plausible is None else _held_out(fitted, given)
    with waiting(f"answers to {counted(len(kept), 'row')}", quiet=json):
        found = search(
            fitted, chosen, classifier=judged, target=wanted, geometry=geometry,
            black_box=black_box, plausible=floor_rows,
            quantile=0.05 if plausible is None else plausible, refinements=refinements,
            most_unexplained=most_unexplained, num_answers=num_answers, constraints=constraints,
            key=seed,
        )  # fmt: skip
    content = {
        "run": str(run), "classifier": classifier, "target": target,
        "confidence": getattr(wanted, "confidence", None), **found.to_dict(),
    }  # fmt: skip
    content["notes"] = [*notes, *content["notes"]]
    for number, row in zip(kept, content["rows"], strict=True):
        row["row"] = int(number)
    files = _written(folder, fitted, found, kept, content, diagnose=diagnose)
    if json:
        print_json({**content, "files": files})
        return
    from rich.console import Console

    from taut.report.explain import explain_page

    explain_page(Console(), content, files)


def _classifier(fitted: "Fit", wish: str, seed: int) -> tuple[Any, tuple[Any, ...], list[str]]:
    """The classifier, what its outputs stand for where that is known, and notes."""
    from taut.counterfactuals.sklearn_classifier import TRAINED, trained
    from taut.data import Dataset
    from taut.models.program import load_program

    if wish in TRAINED:
        own = own_data(fitted)
        if not isinstance(own.train, Dataset):
            raise InputError(
                "training rows in memory, to train a classifier on", "rows that stay on disk",
                "FILE.py with a classifier of your own", where=option("classifier"),
            )  # fmt: skip
        made = trained(wish, own.train, held_out=own.test, seed=seed)
        said = "" if made.accuracy is None else f", right on {made.accuracy:.1%} of the test rows"
        return made.classifier, made.classes, [f"{wish} was trained on {len(own.train)} rows{said}"]
    if not wish.partition(":")[0].endswith(".py"):
        raise InputError(
            f"{', '.join(TRAINED)} or FILE.py:name", repr(wish), nearest(wish, TRAINED),
            where=option("classifier"),
        )  # fmt: skip
    return load_program(wish), (), []


def _check_units(fitted: "Fit", judged: Any, given: "Dataset") -> None:
    """Refuse a user's classifier that labels show to be one of rows in other units."""
    from taut.counterfactuals.classifier import as_classifier, num_outputs
    from taut.counterfactuals.units import check_units
    from taut.data import has_label

    label, made = given.label, as_classifier(judged, fitted.schema.shape)
    if label is None or label.dtype.kind not in "iu":
        return
    known = has_label(label)
    if known.any() and num_outputs(made, fitted.schema.shape) > 1:
        check_units(made, given.x[known], label[known], fitted.schema)


def _target(
    text: str, confidence: float | None, classes: tuple[Any, ...], fitted: "Fit"
) -> "AbstractTarget":
    """What was typed, as a target."""
    from taut.counterfactuals import Below, Between, Class

    low, dots, high = text.partition("..")
    if dots or text.startswith("<"):
        refuse_unheard({"confidence": confidence}, "a class as the target", repr(text))
    try:
        if dots:
            return Between(float(low or "-inf"), float(high or "inf"))
        if text.startswith("<"):
            return Below(float(text[1:]))
    except ValueError:
        raise InputError(
            "LOW..HIGH or <NUMBER", repr(text), "20..30", where=option("target")
        ) from None
    return Class(
        _class_index(text, classes, fitted), _CONFIDENCE if confidence is None else confidence
    )


def _class_index(text: str, classes: tuple[Any, ...], fitted: "Fit") -> int:
    """Which output of the classifier stands for a class."""
    names = fitted.schema.class_names or ()
    label: Any = names.index(text) if text in names else text
    known = [str(c) for c in classes]
    if str(label) in known:
        return known.index(str(label))
    if not known and str(label).isdigit():
        return int(label)
    shown = [names[int(c)] if str(c).isdigit() and int(c) < len(names) else str(c) for c in classes]
    raise InputError(
        f"a class that the classifier knows, {', '.join(shown[:12])}" if shown
        else "the number of an output of the classifier, LOW..HIGH, or <NUMBER",
        repr(text), nearest(text, shown) if shown else "0", where=option("target"),
    )  # fmt: skip


def _unlike(
    given: "Dataset", text: str, classes: tuple[Any, ...], fitted: "Fit", most: int
) -> tuple["Dataset", Any]:
    """The first rows that are not labelled with the target class, and their numbers."""
    import numpy as np

    unlike = np.ones(len(given), bool)
    if given.label is not None and classes:
        unlike = given.label != classes[_class_index(text, classes, fitted)]
    places = np.flatnonzero(unlike)[:most]
    if not len(places):
        raise InputError(
            "rows of another class than the target", f"rows that are all labelled {text}",
            "another target, or other rows", where=option("target"),
        )  # fmt: skip
    chosen = given[places]
    return chosen, chosen.index


def _held_out(fitted: "Fit", given: "Dataset") -> "Dataset":
    """Rows that a floor is taken from: the run's own validation rows, else those that are explained."""
    if fitted.recipe.data.source is None:
        return given
    held_out = own_data(fitted).validation
    return held_out if len(held_out) else given


def _written(
    folder: Path,
    fitted: "Fit",
    found: "Counterfactuals",
    numbers: Any,
    content: dict[str, Any],
    *,
    diagnose: bool,
) -> list[str]:
    """Write JSON, tables and figures into the folder; those that were written."""
    import json as json_format

    from taut.cli.save import drawn_where_possible, free_names, remove_beside, save_table
    from taut.core import write_atomically
    from taut.counterfactuals.diagnostics import diagnose as diagnosed
    from taut.report.draw_explain import EXPLAIN_FIGURES, draw_explain

    def dumped(path: Path, value: Any) -> Path:
        text = json_format.dumps(value, indent=2, allow_nan=False).encode()
        return write_atomically(path, lambda file: file.write(text))

    folder.mkdir(parents=True, exist_ok=True)
    schema = fitted.schema
    names = list(schema.columns or (f"x{i}" for i in range(schema.size)))
    num_answers = found.answers.shape[1]
    said = ["answer"] if num_answers == 1 else [f"answer {i + 1}" for i in range(num_answers)]
    tables = [table_of(fitted, rows) for rows in (found.x, *found.answers.swapaxes(0, 1))]
    cells = tuple(cell for together in zip(*tables, strict=True) for cell in together)
    own = iter(free_names([f"{name} ({word})" for name in names for word in said], names))
    titles = [title for name in names for title in (name, *(next(own) for _ in said))]
    # What a search that failed has found stands in the table, too.
    wished = ["reason"] if num_answers == 1 else [f"reason ({word})" for word in said]
    titles += free_names(wished, titles)
    cells += tuple(reasons.tolist() for reasons in found.reasons.T)
    paths = diagnosed(found)
    drawn = draw_explain(found, paths, schema)
    remove_beside(folder / name for name in ("answers.csv", "diagnostics.json", *EXPLAIN_FIGURES))
    written = [dumped(folder / "counterfactuals.json", content)]
    save_table(folder / "answers.csv", cells, titles, index=numbers, as_came=True)
    written.append(folder / "answers.csv")
    if diagnose:
        ways = [{**path.to_dict(), "row": int(numbers[path.row])} for path in paths]
        written.append(dumped(folder / "diagnostics.json", _finite(ways)))
    written += [drawn_where_possible(folder / name, draw) for name, draw in drawn.items()]
    return [str(path) for path in written if path is not None]


def _finite(value: Any) -> Any:
    """The same with None for what is not finite, which JSON has no number for."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value
