"""More rows, in the form of a schema that other rows have decided."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from taut.data.binarize import binarized
from taut.data.column_values import check_unseen, column_values
from taut.data.conform import as_schema
from taut.data.dataset import Dataset
from taut.data.labels import with_empty_labels
from taut.data.load_streamed import refuse_too_large
from taut.data.missing import Missing, check_missing, observed, without_missing
from taut.data.number_names import number_name
from taut.data.schema import Schema
from taut.data.sources import RawRows, Request, read_source
from taut.data.sources.frame import refuse_text
from taut.data.sparse_rows import SparseRows, joined
from taut.data.staying_sparse import as_known
from taut.data.streams import check_seed
from taut.data.support import check_values, has_holes, model_values, refuse_unheld
from taut.data.targets import labels_like, target_absent, with_target_column

__all__ = ["load_rows"]


def load_rows(
    source: Any,
    schema: Schema,
    *,
    missing: str = "model",
    missing_codes: Sequence[float | int] | float | int = (),
    decimal: str = "auto",
    unseen: str = "refuse",
    unseen_classes: str | None = None,
    seed: int = 0,
) -> Dataset:
    """All rows of a source, in the form of an existing schema.

    Columns are found by name, in any order; others are left out, and a label or a target is taken where
    it is there. Images may be flat rows. Values are in the units of the source that the schema was made
    from, or of `Dataset.x`. Grey rows for a binarized schema are binarized likewise, once.

    Arguments:
        source: as in `load_data`; all parts of a source that is split already.
        schema: the form of the rows.
        missing, missing_codes, decimal: as in `load_data`.
        unseen: what to do about categories that the schema does not have: `refuse` them, or read them
            as `missing`.
        unseen_classes: likewise about classes of a label or target beside the columns; None for as
            `unseen`. Where they are read as `missing`, and cells are modelled, a label may be empty.
        seed: of the draws of a binarization.

    Raises:
        InputError: rows that do not have the schema's columns, shape, grid or support; more of them
            than are kept in memory.
    """
    check_missing(missing)
    check_unseen(unseen)
    unseen_classes = unseen if unseen_classes is None else unseen_classes
    check_unseen(unseen_classes, where="unseen_classes")
    check_seed(seed)
    codes = np.atleast_1d(missing_codes).astype(float).tolist()
    request = _request(schema, codes, decimal)
    refuse_too_large(source, request, schema.dtype)
    labelled = schema.target is None and (missing, unseen_classes) != ("model", "missing")
    sets: list[Dataset] = []
    offset, new = 0, 0
    for i, part in enumerate(read_source(source, request)):
        absent = target_absent(part, schema)
        part = with_target_column(with_empty_labels(part, request), schema)
        part = as_schema(as_known(part, schema, codes), schema)
        rows, _ = without_missing(
            part, cast(Missing, missing), codes, labelled=labelled, absent=absent, empty=True
        )
        refuse_unheld(rows)
        if isinstance(rows.values, SparseRows):
            check_values(rows, schema)
            cells = rows.values
        else:
            x = model_values(_of_numbers(rows, schema, unseen), schema)
            new += int(np.isnan(x).sum()) - int(np.isnan(rows.values.astype(np.float64)).sum())
            cells = binarized(x, schema.binarize, seed=seed, part=i)
        label, unknown = labels_like(rows, schema, codes, unseen=unseen_classes)
        new += unknown
        sets.append(
            Dataset(
                cells=cells,
                mask=None,
                label=label,
                index=(rows.numbers + offset).astype(np.int32),
                schema=schema,
            )
        )
        offset += len(part)
    labels = [s.label for s in sets if s.label is not None]
    cells = joined([s.cells for s in sets])
    holes = has_holes(cells)
    return Dataset(
        cells=cells,
        mask=observed(cells, replace(schema, holes=True)) if holes else None,
        label=np.concatenate(labels) if len(labels) == len(sets) else None,
        index=np.concatenate([s.index for s in sets]),
        schema=schema,
        unseen=new,
    )


def _request(schema: Schema, codes: Sequence[float], decimal: str) -> Request:
    """What a source of more rows of a schema is asked for."""
    own, among = schema.target, schema.place_of_target is not None
    known = dict(zip(schema.columns or (), schema.kinds or (), strict=False))
    empty = {n: c.missing for n, c in known.items() if c.missing}
    if schema.label_name is not None and schema.label_missing:
        empty[schema.label_name] = schema.label_missing
    return Request(
        label=schema.label_name or (None if among else own), keep=schema.columns,
        optional=(own,) if among and own else (), rows_only=True, decimal=decimal,
        forms={n: c.form for n, c in known.items()},
        missing=empty, codes=tuple(map(number_name, codes)),
        worded=tuple(n for n, c in known.items() if c.names),
        coded=dict.fromkeys(_named(schema), math.inf),
    )  # fmt: skip


def _named(schema: Schema) -> list[str]:
    """The columns, the label and the target that have names."""
    found = [n for n, c in zip(schema.columns or (), schema.kinds or (), strict=False) if c.names]
    beside = (schema.label_name, schema.target) if schema.classes is not None else ()
    return [*found, *(name for name in beside if name is not None)]


def _of_numbers(rows: RawRows, schema: Schema, unseen: str) -> RawRows:
    """Rows for a schema, whose columns of text it knows the names of.

    Raises:
        InputError: text where the schema has numbers.
    """
    if schema.kinds is not None:
        values = column_values(rows, schema.kinds, schema.dtype, unseen=unseen)
        return replace(rows, values=values, names=None)
    names = rows.columns or tuple(f"column_{i + 1}" for i in range(schema.size))
    text = [name for name, own in zip(names, rows.names or (), strict=False) if own]
    refuse_text(text, rows.where, "as those that the model was fitted to")
    return rows
