"""Columns by name that hold numbers, or names alone: a table whose cells need no reading.

Text in a data frame may spell numbers, units or dates, which `frame` looks for. Here it is the names of
categories, as it stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from taut.data.coded_cells import uncoded
from taut.data.sources.frame import choose_columns, text_codes
from taut.data.sources.raw_rows import RawRows, Request, Unit, take_label
from taut.data.sources.words import numbers_among, without_codes

__all__ = ["NamedColumns", "named_rows"]


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """A table in memory.

    Attributes:
        cells: (N,) of each column, by name: real numbers, NaN where one is missing, or text, empty where
            it is.
    """

    cells: Mapping[str, Shaped[np.ndarray, " N"]]

    @classmethod
    def of(cls, x: Float[np.ndarray, "N D"], names: Sequence[str] | None = None) -> "NamedColumns":
        """An array of numbers, whose columns are x0, x1, ... where they have no names."""
        return cls(dict(zip(names or [f"x{i}" for i in range(x.shape[1])], x.T, strict=True)))

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    @property
    def columns(self) -> list[str]:
        """Their names."""
        return list(self.cells)

    def select(self, rows: Shaped[np.ndarray, " M"]) -> "NamedColumns":
        """Some of the rows."""
        return NamedColumns({name: column[rows] for name, column in self.cells.items()})


def named_rows(source: NamedColumns, request: Request, where: str) -> RawRows:
    """The rows of a table whose cells need no reading.

    Raises:
        InputError: columns as in `choose_columns`.
    """
    data, label = choose_columns(source.columns, request, where)
    values, names = np.empty((len(source), len(data))), []
    for i, name in enumerate(data):
        column, own = source.cells[name], None
        if column.dtype.kind == "U":
            column, own = text_codes(without_codes(column, request.empty(name)).tolist())
        else:
            column = uncoded(column, numbers_among(request.missing.get(name, ())))
        values[:, i] = column
        names.append(own)
    labels = None if label is None else take_label(source.cells[label], len(source), where)
    return RawRows(
        values=values, where=where, columns=tuple(data), labels=labels, label_name=label,
        names=tuple(names) if any(names) else None, units=(Unit(),) * len(data),
    )  # fmt: skip
