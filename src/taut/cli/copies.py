"""The data of a run under another name: a copy of its file, in any form, with its target or without."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from taut.cli.rows import own_data
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.data import Data, DataOptions, Dataset
    from taut.fitted import Fit

__all__ = [
    "copy_of_own",
    "drops_by_target",
    "known_by_loading",
    "part_names",
    "refuse_untold",
    "reloaded",
]


def copy_of_own(fitted: "Fit", data: str, rows: "Dataset") -> "Data | None":
    """The rows of a source in the parts of the run's own data; None where they are others.

    A copy without the target, or with other values of it, holds the run's rows. Rows in another order,
    some of them alone, and a copy of streamed rows that cannot be streamed, are others.

    Arguments:
        fitted: the run.
        data: where the rows are.
        rows: all of them, read as those of the run were.

    Raises:
        InputError: the run's rows, of which it cannot be told which were trained on: the data of the run
            are not there, and the copy is split otherwise.
    """
    from taut.data import Data
    from taut.fitted.training_rows import are_own

    if known_by_loading(fitted):
        return reloaded(fitted, data)
    rows = _complete(fitted, rows)
    known = next((some for some in _subsets(fitted, rows) if are_own(fitted, some)), None)
    if known is None:
        return None
    rows = known
    order = np.argsort(rows.index)
    places = [
        order[np.searchsorted(rows.index, numbers, sorter=order)]
        for numbers in _numbers(fitted, data, rows)
    ]
    train, validation, test = (rows[at] for at in places)
    options = replace(fitted.recipe.data, source=data)
    return Data(train, validation, test, fitted.schema, options=options)


def reloaded(fitted: "Fit", data: str) -> "Data | None":
    """A source loaded by the run's options, where its rows are only known so, and are the run's.

    Training rows of a dynamic binarization are grey, and of streamed ones a sample is known.
    """
    if not known_by_loading(fitted):
        return None
    options, facts = replace(fitted.recipe.data, source=data), fitted.facts
    known = facts.untargeted_checksum or facts.checksum
    for asked in dict.fromkeys((options, _untargeted(options))):
        found = _loaded(asked)
        own = found and (
            (facts.untargeted_checksum and found.untargeted_checksum) or found.checksum
        )
        if own == known:
            return found
    return None


def part_names(own: "Data", rows: "Dataset") -> list[str | None]:
    """To which part of the run's own data each row belongs, by its number; None where to none."""
    named: dict[int, str] = {}
    for name in ("train", "validation", "test"):
        part = getattr(own, name)
        named |= dict.fromkeys(part.numbers(np.arange(len(part))).tolist(), name)
    return [named.get(i) for i in rows.index.tolist()]


def known_by_loading(fitted: "Fit") -> bool:
    """Whether a source has to be loaded by the run's options to see that its rows are the run's."""
    from taut.data.checksum import is_sampled

    return fitted.schema.binarize == "dynamic" or is_sampled(fitted.facts.checksum)


def _complete(fitted: "Fit", rows: "Dataset") -> "Dataset":
    """Of a run whose data had to be complete, the rows without missing cells but that of a target."""
    if fitted.recipe.data.missing == "model" or rows.mask is None:
        return rows
    seen, place = rows.mask.reshape(len(rows), -1), fitted.schema.place_of_target
    if place is not None:
        seen = np.delete(seen, place, axis=1)
    return rows[np.flatnonzero(seen.all(axis=1))]


def drops_by_target(fitted: "Fit") -> bool:
    """Whether rows without a target, which is one of the columns, were left out of a run."""
    by_column = fitted.schema.place_of_target is not None
    return by_column and fitted.recipe.data.missing == "drop-rows"


def refuse_untold(fitted: "Fit", rows: "Dataset") -> None:
    """Refuse rows without a target that may be those of a run which left rows without one out.

    Arguments:
        fitted: the run.
        rows: no copy of its own as far as can be told.

    Raises:
        InputError: they are more than the run has, and its data are not there to compare them with.
    """
    counts = fitted.facts.rows
    total = counts.train + counts.validation + counts.test
    if not drops_by_target(fitted) or _told(fitted, rows).any() or len(rows) <= total:
        return
    try:
        own_data(fitted)
    except InputError as error:
        raise InputError(
            "rows of which it can be told whether the run was fitted to them",
            "rows without the target, where the run left out rows without one",
            "the data of the run where they were, or rows with their target", where="data",
        ) from error  # fmt: skip


def _subsets(fitted: "Fit", rows: "Dataset") -> "Iterator[Dataset]":
    """The rows; where the run left out rows without a target also those that have one, and those of the
    run's own numbers, as far as these can be had."""
    yield rows
    if not drops_by_target(fitted):
        return
    yield rows[np.flatnonzero(_told(fitted, rows))]
    with contextlib.suppress(InputError):
        numbers = np.concatenate(_of_parts(own_data(fitted)))
        yield rows[np.flatnonzero(np.isin(rows.index, numbers))]


def _told(fitted: "Fit", rows: "Dataset") -> np.ndarray:
    """Which rows have a target, of a run where it is a column."""
    place = fitted.schema.place_of_target
    return np.ones(len(rows), bool) if rows.mask is None else rows.mask[:, place]


def _numbers(fitted: "Fit", data: str, rows: "Dataset") -> list[np.ndarray]:
    """Those of training, validation and test rows."""
    try:
        own = own_data(fitted)
    except InputError:
        own = _loaded(_without_target(replace(fitted.recipe.data, source=data), rows))
        if own is None or not np.array_equal(_sorted(own), np.sort(rows.index)):
            raise
    return _of_parts(own)


def _of_parts(own: "Data") -> list[np.ndarray]:
    return [part.numbers(np.arange(len(part))) for part in (own.train, own.validation, own.test)]


def _sorted(own: "Data") -> np.ndarray:
    return np.sort(np.concatenate(_of_parts(own)))


def _without_target(options: "DataOptions", rows: "Dataset") -> "DataOptions":
    """The options for a copy that lacks the target, where the rows do."""
    from taut.data import has_label, target_of

    label = target_of(rows)
    return options if label is not None and has_label(label).any() else _untargeted(options)


def _untargeted(options: "DataOptions") -> "DataOptions":
    from taut.data.wishes import wishes_of

    if options.target is None:
        return options
    kind = tuple(k for k in options.kind if options.target not in wishes_of([k], where="kind"))
    return replace(options, target=None, target_as="label", kind=kind)


def _loaded(options: "DataOptions") -> "Data | None":
    try:
        return options.load()
    except InputError:
        return None
