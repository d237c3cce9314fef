"""Fidelity: how like real rows the rows are that a fit makes, and whether it remembers rows.

    shapes and trends    columns one by one and two by two (`column_fidelity`)
    two-sample test      whether boosted trees tell the tables apart (`discriminator`)
    nearest records      whether synthetic rows are too near to training rows (`nearest_records`)

Synthetic rows are compared with held-out ones; so are training rows, which shows how high the scores of
so many rows can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from taut.audit.column_fidelity import column_shapes, pair_trends
from taut.audit.discriminator import indistinguishable
from taut.audit.nearest_records import NearestRecords, nearest_records
from taut.core import InputError, check_count
from taut.core.json_numbers import finite_or_none
from taut.data import Schema

__all__ = ["Fidelity", "Likeness", "fidelity_of"]

_MOST_TRAINING = 50_000  # rows, among which the nearest is looked for


class Likeness(NamedTuple):
    """How like held-out rows other rows are; each score is 1 where no difference is found.

    Attributes:
        shapes: of each column, (D,); NaN where it is not defined.
        trends: of each pair of columns, (D, D); NaN on the diagonal and where it is not defined.
        two_sample: score of the classifier two-sample test.
    """

    shapes: Float[np.ndarray, " D"]
    trends: Float[np.ndarray, "D D"]
    two_sample: float

    @property
    def shape(self) -> float:
        """The mean over columns."""
        return _mean(self.shapes)

    @property
    def trend(self) -> float:
        """The mean over pairs; NaN where there is none."""
        return _mean(self.trends)


@dataclass(frozen=True, eq=False)
class Fidelity:
    """What was found.

    Attributes:
        columns: names of the columns that vary, (D,).
        synthetic: rows of the model beside held-out rows.
        training: training rows beside them, as many.
        records: the nearest real rows.
        rows: how many synthetic, training and held-out rows there were.
    """

    columns: tuple[str, ...]
    synthetic: Likeness
    training: Likeness
    records: NearestRecords
    rows: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        both = {"synthetic": self.synthetic, "training": self.training}
        shapes = dict(zip(self.columns, self.synthetic.shapes.tolist(), strict=True))
        return {
            "rows": dict(zip(("synthetic", "training", "held_out"), self.rows, strict=True)),
            **{
                name: {
                    "shape": finite_or_none(one.shape), "trend": finite_or_none(one.trend),
                    "two_sample": finite_or_none(one.two_sample),
                }
                for name, one in both.items()
            },
            "shapes": {name: finite_or_none(value) for name, value in shapes.items()},
            "records": {
                **self.records._asdict(), "memorised": self.records.memorised,
                "copied": self.records.copied,
            },
        }  # fmt: skip

    def worst_pairs(self, most: int = 3) -> list[tuple[str, str, float]]:
        """The pairs of columns whose trend is the least alike, with their scores."""
        most = check_count(most, "a number of pairs of at least 0", "3", where="most", least=0)
        upper = np.triu(np.ones(self.synthetic.trends.shape, bool), 1)
        places = np.argwhere(upper & ~np.isnan(self.synthetic.trends))
        places = sorted(places.tolist(), key=lambda at: self.synthetic.trends[tuple(at)])[:most]
        return [
            (self.columns[i], self.columns[j], float(self.synthetic.trends[i, j]))
            for i, j in places
        ]


def fidelity_of(
    synthetic: Float[np.ndarray, "M D"],
    train: Float[np.ndarray, "N D"],
    held_out: Float[np.ndarray, "H D"],
    schema: Schema,
    *,
    names: Sequence[str],
    generator: np.random.Generator,
) -> Fidelity:
    """Compare synthetic rows with real ones.

    Arguments:
        synthetic: rows as `Dataset.x` has them.
        train: rows that the model was fitted to.
        held_out: rows that it was not.
        schema: of them all.
        names: of the columns.
        generator: of what is chosen at random.

    Raises:
        InputError: fewer than ten rows of a kind.
    """
    sizes = (len(synthetic), len(train), len(held_out))
    for count, words in zip(sizes, ("synthetic", "training", "held-out"), strict=True):
        if count < 10:
            raise InputError(f"at least ten {words} rows", f"{count}", "more", where="fidelity")
    varying, category = _columns(schema, np.concatenate([train, held_out]))
    synthetic, train, held_out = (
        np.asarray(rows, np.float64)[:, varying] for rows in (synthetic, train, held_out)
    )
    some = train[generator.permutation(len(train))[: len(synthetic)]]

    def likeness(rows: Float[np.ndarray, "n D"]) -> Likeness:
        return Likeness(
            column_shapes(held_out, rows, category),
            pair_trends(held_out, rows, category),
            indistinguishable(held_out, rows, category, generator=generator),
        )

    searched = train[generator.permutation(len(train))[:_MOST_TRAINING]]
    return Fidelity(
        columns=tuple(name for name, varies in zip(names, varying, strict=True) if varies),
        synthetic=likeness(synthetic),
        training=likeness(some),
        records=nearest_records(synthetic, searched, held_out, category, generator=generator),
        rows=sizes,
    )


def _columns(
    schema: Schema, real: Float[np.ndarray, "N D"]
) -> tuple[Bool[np.ndarray, " D"], Bool[np.ndarray, " D"]]:
    """Which columns vary, and which of these hold codes."""
    if schema.kinds is not None:
        kinds = np.array([column.kind for column in schema.kinds])
        named = (kinds == "categorical") | (kinds == "binary")
    else:
        named = np.full(schema.size, schema.support in ("binary", "categorical"))
    varying = np.array([len(np.unique(c[~np.isnan(c)])) > 1 for c in real.T])
    return varying, named[varying]


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
