"""Labels as numbers: whole numbers as they are, text as positions in a list of class names."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from taut.data.sources.raw_rows import RawRows
from taut.errors import InputError, nearest, option

__all__ = ["class_names", "label_values"]


def class_names(parts: Sequence[RawRows]) -> tuple[str, ...] | None:
    """The distinct labels of all parts in alphabetical order where they are text, else None."""
    texts = [p.labels for p in parts if p.labels is not None and p.labels.dtype.kind == "U"]
    return tuple(str(c) for c in np.unique(np.concatenate(texts))) if texts else None


def label_values(
    rows: RawRows, classes: Sequence[str] | None, dtype: str
) -> Shaped[np.ndarray, " N"] | None:
    """Labels as int32 (whole numbers, positions in `classes`) or `dtype` (real numbers).

    Arguments:
        rows: rows with or without labels.
        classes: the names that text labels stand for; None where labels are numbers.
        dtype: the dtype of real labels.

    Raises:
        InputError: text where labels were numbers, or the reverse; a name that is no class; a whole
            number that int32 does not hold.
    """
    labels = rows.labels
    if labels is None:
        return None
    where = f"{rows.where}, label '{rows.label_name}'"
    if (labels.dtype.kind == "U") != (classes is not None):
        raise InputError(
            f"{'text' if classes is not None else 'numbers'}, as in the other rows",
            f"labels of dtype {labels.dtype}",
            "labels of one kind",
            where=where,
        )
    if classes is not None:
        position = {name: i for i, name in enumerate(classes)}
        for row, name in enumerate(labels):
            if name not in position:
                raise InputError(
                    "a known class",
                    f"'{name}'",
                    nearest(name, classes),
                    where=f"{where}, {rows.place(row)}",
                )
        return np.array([position[name] for name in labels], dtype=np.int32)
    if labels.dtype.kind == "f":
        return labels.astype(dtype)
    bounds = np.iinfo(np.int32)
    if labels.min() < bounds.min or labels.max() > bounds.max:
        raise InputError(
            "whole numbers that fit 32 bits",
            f"{labels.min()} to {labels.max()}",
            f"another label, or dropping the column ({option('drop')})",
            where=where,
        )
    return labels.astype(np.int32)
