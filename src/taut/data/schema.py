"""`Schema`: what one row of a data set is, so that a model fitted to it can read other rows.

A source's value v and the value x that a `Dataset` holds are related by

    x = v / (levels - 1)        on a grid of `levels` grey values 0, 1, ..., levels - 1
    x = v                       otherwise

Real columns keep their units. `shift` and `scale`, learned on the training rows alone, are the map
u = (x - shift) / scale onto the standardised values that a model works on; its log-density of x is
that of u less sum log(scale), and so is in nats of the original units.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from taut.data.kinds import Column
from taut.data.number_names import names_read
from taut.errors import InputError, counted, nearest, option

__all__ = ["Binarize", "Kind", "Schema", "Support"]

Kind = Literal["image", "table"]
Support = Literal["binary", "grey", "unit", "count", "real", "categorical", "mixed"]
Binarize = Literal["none", "static", "dynamic", "threshold"]


@dataclass(frozen=True)
class Schema:
    """The form of one row.

    Attributes:
        name: name of the data set.
        kind: `image` or `table`.
        shape: shape of one row: (H, W) or (H, W, C) of an image, (D,) of a table.
        support: where cells live: `binary` {0, 1}; `grey` {k / (levels - 1)}; `unit` [0, 1];
            `count` {0, 1, 2, ...}; `real`; `categorical` codes 0, 1, ..., levels - 1; `mixed`, each
            column where its own kind has it.
        levels: number of values on the source's grid; None off a grid. Binarized data keep the
            levels of the grey values that they were made from.
        columns: names of a table's columns, (D,); None where the source names none.
        shift: subtracted from real cells before a model sees them; length D for a table, 1 for an
            image; None where nothing is standardised.
        scale: divides real cells likewise; positive, 1 for a column that is constant.
        constant: of a table, the value of each column that is constant over the training rows and
            None for one that varies, length D; None where all vary. It says nothing of what rows may
            be: schemas that differ in it alone are equal.
        label_name: what the labels are; None without labels.
        class_words: names of the classes 0 and 1 in the source, such as false and true; none for these
            numbers. It says nothing of what rows may be.
        label_missing: labels that stand for none, as the source has them; it says nothing of what rows
            may be.
        classes: names that integer labels stand for, where the source spelled them out; of a target
            that is one of the columns, those of its values.
        target: what is to be predicted: `label_name`, or one of the columns; None for nothing.
        steps: of a real table, the step of the grid that each column's values lie on where they come up
            again and again; 0 for the other columns; None where no column repeats values. Like the next
            two it says nothing of what rows may be: schemas that differ in it alone are equal.
        origins: where these grids begin: 0 for a grid of numbers none of which is negative.
        spikes: columns that repeat values without a grid.
        whole: columns of real numbers all of which are whole, whether they come up again or not; None
            where there are none. It too says nothing of what rows may be.
        holes: cells of some rows are missing, so that every part of the data has a mask; it too says
            nothing of what rows may be.
        binarize: how grey values became binary: `static` and `threshold` once, on loading;
            `dynamic` leaves the training rows grey, to be drawn anew for each batch.
        dtype: `float32` or `float64`.
        sparse: rows of the source are held without their zeros; it says nothing of what rows may be.
        kinds: of a table whose columns differ in kind, what each of them is, (D,); else None.
        words: of a binary table without kinds, what its source writes for 0 and 1 in each column, (D,),
            nothing where that is these numbers; None where no column has words.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    support: Support
    levels: int | None = None
    columns: tuple[str, ...] | None = None
    shift: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    constant: tuple[float | None, ...] | None = field(default=None, compare=False)
    label_name: str | None = None
    classes: tuple[str, ...] | None = None
    binarize: Binarize = "none"
    dtype: str = "float32"
    steps: tuple[float, ...] | None = field(default=None, compare=False)
    origins: tuple[float, ...] | None = field(default=None, compare=False)
    spikes: tuple[int, ...] | None = field(default=None, compare=False)
    whole: tuple[int, ...] | None = field(default=None, compare=False)
    holes: bool = field(default=False, compare=False)
    kinds: tuple[Column, ...] | None = None
    target: str | None = None
    sparse: bool = field(default=False, compare=False)
    label_missing: tuple[str, ...] = field(default=(), compare=False)
    class_words: tuple[str, ...] = field(default=(), compare=False)
    words: tuple[tuple[str, ...], ...] | None = field(default=None, compare=False)

    def __post_init__(self):
        _one_of(self.dtype, ("float32", "float64"), "dtype")
        ranks = (1,) if self.kind == "table" else (2, 3)
        if len(self.shape) not in ranks or min(self.shape) < 1:
            raise InputError(
                "(D,) for a table, (H, W) or (H, W, C) for an image, none of them zero",
                f"{self.shape} for a {self.kind}",
                "the shape of one row, without the axis over rows",
                where="schema, shape",
            )
        if self.support == "grey" and (self.levels is None or self.levels < 2):
            raise InputError(
                "two or more levels for grey values",
                repr(self.levels),
                "levels=256 for 8-bit images",
                where="schema, levels",
            )
        _length(self.columns, self.size, "columns")
        _length(self.constant, self.size, "constant")
        _length(self.kinds, self.size, "kinds")
        _length(self.words, self.size, "words")
        standardised = self.size if self.kind == "table" else 1
        _length(self.steps, self.size, "steps")
        _length(self.origins, self.size, "origins")
        _length(self.shift, standardised, "shift")
        _length(self.scale, standardised, "scale")
        if self.scale is not None and not all(math.isfinite(s) and s > 0 for s in self.scale):
            raise InputError(
                "positive finite numbers",
                f"{min(self.scale)} among them",
                "scale 1 for columns that are constant",
                where="schema, scale",
            )

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """For each column what its codes 0, 1, ... stand for in the source; empty where it has none."""
        columns = self.written
        return ((),) * self.size if columns is None else tuple(c.words or c.names for c in columns)

    @property
    def written(self) -> tuple[Column, ...] | None:
        """The columns, where a source writes some of them otherwise than as numbers; else None."""
        if self.kinds is not None or self.words is None:
            return self.kinds
        return tuple(Column("binary", words=words) for words in self.words)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes as the source has them."""
        return self.class_words or self.classes

    @property
    def gridded(self) -> tuple[int, ...]:
        """Columns that repeat values on a grid."""
        return tuple(i for i, step in enumerate(self.steps or ()) if step)

    @property
    def size(self) -> int:
        """Number of cells in a row."""
        return math.prod(self.shape)

    @property
    def place_of_target(self) -> int | None:
        """Which column the target is; None where it is none of them."""
        if self.columns is None or self.target not in self.columns:
            return None
        return self.columns.index(self.target)

    @property
    def dates_of_target(self) -> Column | None:
        """The column of a target of dates; None for another target, and without one."""
        place = self.place_of_target
        own = None if place is None or self.kinds is None else self.kinds[place]
        return own if own is not None and own.form else None

    def named(self, columns: Sequence[int], most: int = 5) -> str:
        """Some columns of a table in words: by name, counted from 0 where they have none."""
        shown = [f"'{self.columns[i]}'" if self.columns else str(i) for i in columns[:most]]
        words = f"column{'s' * (len(columns) > 1)} {', '.join(shown)}"
        more = f" and {len(columns) - most} more" if len(columns) > most else ""
        return words + more + ("" if self.columns else ", counted from 0")

    def dropped(self, columns: Sequence[int]) -> str:
        """The option that leaves some columns out."""
        return (
            option("drop", [self.columns[i] for i in columns]) if self.columns else option("drop")
        )

    def shift_scale(self) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
        """`shift` and `scale` as float64 arrays that broadcast against a row; 0 and 1 for None.

        A constant of the data rather than a parameter: the arrays are made anew on each call.
        """
        length = self.size if self.kind == "table" else 1
        shift = np.zeros(length) if self.shift is None else np.asarray(self.shift, np.float64)
        scale = np.ones(length) if self.scale is None else np.asarray(self.scale, np.float64)
        return shift, scale

    def constants(self) -> tuple[tuple[int, float], ...]:
        """(column, value) of every column that is constant, in order."""
        return tuple((i, v) for i, v in enumerate(self.constant or ()) if v is not None)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it: lists for tuples."""
        found = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        for name in ("label_missing", "class_words"):
            if not found[name]:
                del found[name]
        if self.words is None:
            del found["words"]
        else:
            found["words"] = [list(words) for words in self.words]
        return found | {"kinds": self.kinds and [column.to_dict() for column in self.kinds]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Schema":
        """The inverse of `to_dict`.

        Raises:
            InputError: a field that is unknown or missing, or a value that the class refuses.
        """
        known = {item.name for item in fields(cls)}
        for key in content:
            if key not in known:
                raise InputError(
                    "the fields of a schema", f"'{key}'", nearest(key, known), where="schema"
                )
        for key in ("name", "kind", "shape", "support"):
            if key not in content:
                raise InputError(
                    f"the field '{key}'", "none", "saving the schema again", where="schema"
                )
        _one_of(content["kind"], get_args(Kind), "kind")
        _one_of(content["support"], get_args(Support), "support")
        _one_of(content.get("binarize", "none"), get_args(Binarize), "binarize")
        restored: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in content.items()
        }
        if restored.get("kinds") is not None:
            restored["kinds"] = tuple(map(Column.from_dict, restored["kinds"]))
        if restored.get("words") is not None:
            restored["words"] = tuple(map(tuple, restored["words"]))
        if restored.get("classes") is not None:
            restored["classes"] = names_read(restored["classes"])
        return cls(**restored)


def _one_of(value: str, known: Sequence[str], field: str) -> None:
    if value not in known:
        raise InputError(
            f"one of {', '.join(known)}",
            repr(value),
            nearest(str(value), known),
            where=f"schema, {field}",
        )


def _length(values: tuple | None, length: int, field: str) -> None:
    if values is not None and len(values) != length:
        raise InputError(
            f"{counted(length, 'entry')}, one for each column (one in all for images)",
            str(len(values)),
            "leaving the field out",
            where=f"schema, {field}",
        )
