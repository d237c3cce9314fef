"""Labels as colours: up to twelve classes, or a scale for numbers of which there are more."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from taut.report.style import legible

__all__ = ["MOST_CLASSES", "Classes", "as_classes"]

MOST_CLASSES = 12


class Classes(NamedTuple):
    """Labels made ready for colours.

    Attributes:
        codes: class of each row, (N,); `MOST_CLASSES` for none of the named ones.
        names: of the classes, at most twelve; empty where labels are a scale.
        values: the labels as numbers, (N,); NaN for classes that are words.
    """

    codes: Int[np.ndarray, " N"]
    names: list[str]
    values: Float[np.ndarray, " N"]

    @property
    def rest(self) -> str:
        """What rows of `MOST_CLASSES` are called: classes beyond the twelve, or none at all."""
        return "other" if len(self.names) == MOST_CLASSES else "no label"


def as_classes(label: Any) -> Classes | None:
    """Classes from numbers, words or booleans; of more than twelve words the commonest are named.

    None where no row has a label: where all are NaN or None.
    """
    label = np.asarray(label)
    numeric = label.dtype.kind in "iuf"
    if numeric:
        values = label.astype(np.float64)
        known = np.isfinite(values)
    else:
        values = np.full(label.shape, np.nan)
        known = np.asarray([item is not None for item in label.tolist()], bool)
        label = label.astype(str)
    if not known.any():
        return None
    found, inverse, counts = np.unique(label[known], return_inverse=True, return_counts=True)
    if numeric and len(found) > MOST_CLASSES:
        return Classes(np.zeros(len(label), int), [], values)
    common = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    place = np.full(len(found) + 1, MOST_CLASSES)
    place[common] = np.arange(len(common))
    codes = np.full(len(label), MOST_CLASSES)
    codes[known] = place[inverse]
    names = [f"{v:g}" if numeric else legible(v) for v in found[common].tolist()]
    return Classes(codes, names, values)
