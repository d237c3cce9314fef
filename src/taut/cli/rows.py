"""Which rows a command is about: the run's own data again, or others that must fit its schema."""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from taut.errors import InputError, counted, option

if TYPE_CHECKING:
    from taut.data import Data, Dataset
    from taut.fitted import Fit
    from taut.recipe import Recipe

__all__ = [
    "NamedRows",
    "all_rows",
    "found_again",
    "load_source",
    "named_rows",
    "open_run",
    "own_data",
    "parts_of_own",
    "rows_alike",
    "rows_numbered",
    "rows_of",
    "with_its_data",
]

_LEVELS = 3  # folders above a run in which its data are looked for
_MENDED = "a copy of the data without that, for they are read as the rows of the run were"


def load_source(source: str, recipe: "Recipe") -> "Data":
    """Data as a recipe says."""
    from taut.inference import AbstractExact

    precise = recipe.training.precision == "float64" or isinstance(recipe.inference, AbstractExact)
    dtype = "float64" if precise else "float32"
    return replace(recipe.data, source=source, dtype=dtype).load()


def open_run(path: Path, *, whole: bool = False) -> "Fit":
    """A run whose model is there, measured or not; it knows its data where both were moved together.

    Arguments:
        path: run folder.
        whole: with the history and the per-row values.
    """
    from taut.fitted.loading import load_fit
    from taut.runs import RunFolder

    return with_its_data(load_fit(RunFolder.open(path), whole=whole), path)


def with_its_data(fitted: "Fit", run: Path) -> "Fit":
    """A fit that knows its data where they were moved together with its run folder."""
    options = fitted.recipe.data
    if options.source is None or not fitted.facts.checksum:
        return fitted
    options = replace(options, source=found_again(options.source, run))
    return replace(fitted, recipe=replace(fitted.recipe, data=options))


def found_again(source: str, run: Path) -> str:
    """Where the data of a run are: as named or, where that leads nowhere by now, a file of that name.

    It is looked for in the run folder and above it, and a note tells of it. Whether it holds the data of
    the run, their checksum says. Files that are listed, one for each part, are not looked for.
    """
    named = Path(source)
    if "," in source or not named.suffix or os.path.exists(named):
        return source
    folders = (run.resolve(), *list(run.resolve().parents)[:_LEVELS])
    tried = (
        folder / name for folder in folders for name in dict.fromkeys((named, Path(named.name)))
    )
    moved = next((str(path) for path in tried if os.path.isfile(path)), None)
    if moved is None:
        return source
    print(f"note: {source} is not there; {moved} is taken", file=sys.stderr)
    return moved


class NamedRows(NamedTuple):
    """Rows to work on, and what they are.

    Attributes:
        rows: all of them.
        of: `train`, `validation` or `test` for that part of the run's own data; else their source.
    """

    rows: "Dataset"
    of: str


def rows_of(fitted: "Fit", *, data: str | None, split: str | None) -> "Dataset":
    """The rows of `named_rows`."""
    return named_rows(fitted, data=data, split=split).rows


def named_rows(fitted: "Fit", *, data: str | None, split: str | None) -> NamedRows:
    """Rows to work on: a split of the run's own data, or all rows of another source.

    The run's own rows are those that its recipe gives, however their file is spelled or called: what was
    trained on is never called held out.

    Raises:
        InputError: the run's data cannot be loaded again, have changed, or the source does not fit
            their schema.
    """
    from taut.data import Dataset

    found = _source(fitted, data, split)
    if isinstance(found, Dataset):
        return NamedRows(found, str(data))
    if data is not None and split is None:
        print(
            f"note: {data} holds the rows that the run was fitted to: its test rows are taken",
            file=sys.stderr,
        )
    part = split or "test"
    return NamedRows(replace(_part(found, part), schema=fitted.schema), part)


def _source(fitted: "Fit", data: str | None, split: str | None) -> "Data | Dataset":
    """The run's own data, whatever they are called, or the rows of another source."""
    from taut.cli.copies import (
        copy_of_own,
        drops_by_target,
        known_by_loading,
        refuse_untold,
        reloaded,
    )
    from taut.data import same_source

    options = fitted.recipe.data
    if data is None or (options.source and same_source(data, options.source)):
        return own_data(fitted)
    if split is not None:
        raise InputError(
            "--split with the run's own data", f"--data {data}", "leaving out --split",
            where="split",
        )  # fmt: skip
    if known_by_loading(fitted):
        return reloaded(fitted, data) or rows_alike(fitted, data)
    rows = every = rows_alike(fitted, data)
    if drops_by_target(fitted):
        with contextlib.suppress(InputError):  # infinite cells, whose rows are dropped
            every = all_rows(fitted, data)
    found = copy_of_own(fitted, data, every)
    if found is None:
        refuse_untold(fitted, every)
    return found or rows


def rows_alike(fitted: "Fit", data: str) -> "Dataset":
    """Every row of a source that is read as the rows of the run were.

    Raises:
        InputError: a source that does not fit their schema.
    """
    return _read(fitted, data, missing=fitted.recipe.data.missing)


def parts_of_own(fitted: "Fit", data: str, rows: "Dataset") -> list[str | None] | None:
    """To which part of the run's own data each row belongs, if any; None for rows of other data.

    Arguments:
        fitted: the run.
        data: where the rows are.
        rows: all of them.
    """
    from taut.cli.copies import copy_of_own, part_names
    from taut.data import same_source

    source = fitted.recipe.data.source
    named = bool(source) and same_source(data, source)
    own = own_data(fitted) if named else copy_of_own(fitted, data, rows)
    return None if own is None else part_names(own, rows)


def all_rows(
    fitted: "Fit", data: str, *, unseen: str = "refuse", unseen_classes: str = "missing"
) -> "Dataset":
    """Every row of a file, also of the one that the run was fitted to.

    Arguments:
        fitted: the run.
        data: where the rows are.
        unseen, unseen_classes: as of `taut.data.load_rows`.
    """
    return _read(fitted, data, missing="model", unseen=unseen, unseen_classes=unseen_classes)


def _read(
    fitted: "Fit",
    data: str,
    *,
    missing: str,
    unseen: str = "refuse",
    unseen_classes: str = "missing",
) -> "Dataset":
    from taut.data import load_rows

    options = fitted.recipe.data
    try:
        rows = load_rows(
            data, fitted.schema, missing=missing, missing_codes=options.missing_codes,
            decimal=options.decimal, unseen=unseen, unseen_classes=unseen_classes,
            seed=options.split_seed,
        )  # fmt: skip
    except InputError as error:
        # How rows are read was chosen at the fit; the commands on a run have no options for it.
        raise error.trying(_MENDED) if error.offers else error from None
    if rows.unseen and (unseen, unseen_classes) == ("refuse", "missing"):
        print(
            f"note: {data}: {counted(rows.unseen, 'label')} of classes that the fit has not seen, read "
            "as none",
            file=sys.stderr,
        )
    return rows


def own_data(fitted: "Fit") -> "Data":
    """The data that a run was fitted to, loaded again.

    Raises:
        InputError: they have no name, or are other data by now.
    """
    options, known = fitted.recipe.data, fitted.facts.checksum
    if options.source is None:
        raise InputError(
            "a run whose data have a name", "one fitted to an array in Python", "--data FILE",
            where="data",
        )  # fmt: skip
    loaded = options.load()
    changed = None
    if loaded.schema != fitted.schema:
        changed = _difference(loaded.schema, fitted.schema)
    elif known and loaded.checksum != known:
        changed = f"one whose rows have changed since ({loaded.describe()})"
    if changed is None:
        return loaded
    raise InputError(
        f"{options.source} as it was when the run was fitted", changed,
        "the original file, fitting again, or --data with a copy of it under another name, of which "
        "all rows are taken", where="data",
    )  # fmt: skip


def _part(data: "Data", split: str) -> "Dataset":
    from taut.data import Dataset
    from taut.fitted.drawn_rows import binarized_once

    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    if split not in parts:
        raise InputError(f"one of {', '.join(parts)}", repr(split), "test", where="split")
    chosen = parts[split]
    if not isinstance(chosen, Dataset):
        raise InputError(
            "rows in memory", f"{counted(len(chosen), 'training row')} that stay on disk",
            "--split validation or --split test", where="split",
        )  # fmt: skip
    return binarized_once(chosen, seed=data.options.split_seed)


def rows_numbered(
    fitted: "Fit", numbers: Mapping[str, int], *, data: str | None, split: str | None
) -> list[Any]:
    """The rows of these numbers in their data set, counted from 0, as `taut evaluate` names them.

    Arguments:
        fitted: the run.
        numbers: by the argument that holds each.
        data, split: as of `rows_of`; but without `split`, all parts of the run's own data are looked
            through, the test rows first.

    Raises:
        InputError: as `rows_of`; no such row there.
    """
    from taut.data import Dataset

    found = _source(fitted, data, split)
    if isinstance(found, Dataset):
        parts = [found]
    elif split is not None:
        parts = [_part(found, split)]
    else:
        parts = [found.test, found.validation]
        parts += [] if found.streamed else [_part(found, "train")]
    return [_numbered(parts, number, split, where) for where, number in numbers.items()]


def _numbered(parts: "list[Dataset]", number: int, split: str | None, where: str) -> Any:
    for part in parts:
        places = (part.index == number).nonzero()[0]
        if len(places):
            return part.x[places[0]]
    known = sorted(int(i) for part in parts for i in part.index)
    if split is None:
        wish, remedy = f"a row from {known[0]} to {known[-1]}", "one of them"
    else:
        shown = ", ".join(map(str, known[:3]))
        wish, remedy = (
            f"a row of the {split} part, such as {shown}",
            f"leaving out {option('split')}",
        )
    raise InputError(f"{wish}, by its number in the data set", f"{number}", remedy, where=where)


def _difference(found: Any, wanted: Any) -> str:
    """The first field in which two schemas differ, in words."""
    names = (item.name for item in fields(found) if item.compare)
    name = next(name for name in names if getattr(found, name) != getattr(wanted, name))
    own, known = (schema.to_dict()[name] for schema in (found, wanted))
    return f"{name} {_short(own)} instead of {_short(known)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
