"""What a reader of an exact fit should know beside its numbers, in sentences."""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from jaxtyping import Float

from taut.architectures import LCA, Mixed
from taut.data import RESOLVED_ROWS, Data, Schema, cell_words, dependent_columns, empty_rows_note
from taut.errors import counted
from taut.inference.exact.selection import Selected

__all__ = ["exact_notes"]

_SHOWN = 5  # columns or values that a note names
_Rows = Callable[
    [], Float[np.ndarray, "N D"]
]  # training rows at random, read when they are asked for


def exact_notes(selected: Selected, data: Data) -> tuple[str, ...]:
    """The notes of a fit.

    Arguments:
        selected: what was fitted.
        data: what it was fitted to.
    """
    return tuple(_notes(selected, data))


def _notes(selected: Selected, data: Data) -> Iterator[str]:
    yield from empty_rows_note(data)
    best, some = selected.best, cache(lambda: data.train.sample(RESOLVED_ROWS).x)
    if isinstance(best.architecture, LCA):
        yield from _unseen_values(best.architecture, data)
    else:
        yield from _left_out(data)
        mixed = isinstance(best.architecture, Mixed)
        if not (mixed and data.schema.support in ("count", "binary", "categorical")):
            yield from _read_as_density(data.schema, some)
        if mixed:
            yield from _read_alike(data)
    if best.course.held:
        yield (
            "no bound: the floor decides this density, which would grow without end if the floor were "
            "lower, as where columns repeat values or follow from one another; compare the number with "
            "no other density"
        )
        yield from _dependent(data.schema, some)
    yield from _choice(selected)


def _left_out(data: Data) -> Iterator[str]:
    """Columns that are constant over the training rows."""
    constants = data.schema.constants()
    if not constants:
        return
    yield "what is constant over the training rows is left out of the density, and adds 0 nats"
    for cell, value in constants:
        shown = cell_words(data.schema, cell, value)
        for name, part in (("validation", data.validation), ("test", data.test)):
            values = part.x[:, cell]
            other = int(np.sum((values != value) & ~np.isnan(values)))
            if other:
                yield (
                    f"{_columns(data.schema, [cell])} is {shown} in all training rows but not in "
                    f"{other} of the {counted(len(part), f'{name} row')}, whose other value counts for "
                    "nothing"
                )


def _read_as_density(schema: Schema, some: _Rows) -> Iterator[str]:
    """Values that a density is a poor reading of."""
    if schema.support in ("grey", "count"):
        kind = "grey levels" if schema.support == "grey" else "whole numbers"
        yield (
            f"the {kind} are read as real numbers, with a density: not to be compared with the "
            "probability of a level or a count"
        )
        return
    if schema.kind != "table":
        return
    x = some()
    varying = set(range(schema.size)) - {cell for cell, _ in schema.constants()}
    varying -= {i for i, c in enumerate(schema.kinds or ()) if c.kind not in ("real", "positive")}
    observed = {i: x[~np.isnan(x[:, i]), i] for i in sorted(varying)}
    repeated = [i for i, values in observed.items() if 2 * len(np.unique(values)) < len(values)]
    if repeated:
        yield (
            "values that come up again and again are read as real numbers, with a density, in "
            f"{_columns(schema, repeated)}: not to be compared with the probability of a value"
        )


def _read_alike(data: Data) -> Iterator[str]:
    """Named columns of which a model could have taken each as what it is."""
    schema = data.schema
    if schema.kinds is None and schema.columns:
        yield (
            f"all columns are read as {schema.support}: with columns auto each is read by its own kind"
        )


def _dependent(schema: Schema, some: _Rows) -> Iterator[str]:
    """Columns that the floor may have had to decide for."""
    if schema.kind != "table":
        return
    found = list(dependent_columns(np.asarray(some(), np.float64)))
    if found:
        yield (
            f"{_columns(schema, found)} follow from one another: leave out one of them, and again "
            "until none does"
        )


def _unseen_values(architecture: LCA, data: Data) -> Iterator[str]:
    """Values of a column that no training row has."""
    codes = architecture.codes
    if codes is None:
        return
    seen = [set[float]() for _ in codes]
    for part in data.train.parts():
        for column, values in zip(seen, part.x.T, strict=True):
            column.update(np.unique(values).tolist())
    unseen = [(i, v) for i, values in enumerate(codes) for v in values if v not in seen[i]]
    for i, value in unseen[:_SHOWN]:
        yield (
            f"{_columns(data.schema, [i])} is {cell_words(data.schema, i, value)} in no training row: "
            "that value has the probability that the floor gives it"
        )
    if len(unseen) > _SHOWN:
        yield f"likewise {counted(len(unseen) - _SHOWN, 'more value')}"


def _choice(selected: Selected) -> Iterator[str]:
    """A choice at the end of its range, or one that left candidates out."""
    numbers = sorted(c.architecture.components for c in selected.candidates)
    if len(numbers) == 1:
        return
    best, low, high = selected.best.architecture.components, numbers[0], numbers[-1]
    if best == high:
        yield (
            f"the best of {low} to {high} components is {high}, the end of the range: try "
            f"components {high}-{2 * high}"
        )
    elif best == low and low > 1:
        yield (
            f"the best of {low} to {high} components is {low}, the end of the range: try "
            f"components 1-{low}"
        )
    if selected.passed_over:
        listed = ", ".join(map(str, selected.passed_over))
        yield (
            f"out of the choice, as without a bound or below independent columns: components {listed}"
        )


def _columns(schema: Schema, numbers: list[int]) -> str:
    """`column 'a'`, `columns 'a', 'b' and 3 more`; by number where the source names none."""
    known = [f"'{schema.columns[i]}'" if schema.columns else f"{i}" for i in numbers[:_SHOWN]]
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    counted = "" if schema.columns else " (counted from 0)"
    return f"column{'s' if len(numbers) > 1 else ''} {', '.join(known)}{more}{counted}"
