"""`Mixed`: a mixture with a family for each kind of column, and exact posterior and evidence."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.closed_form import AbstractClosedForm
from taut.core import AbstractPair, InputError, nearest, option
from taut.data import Schema
from taut.guides import ExactPair
from taut.models import ColumnForm, ColumnMixture, column_forms
from taut.models.likelihoods import Mixed as MixedLikelihood

__all__ = ["Mixed"]

_COUNTS = Literal["negative-binomial", "poisson"]


@dataclass(frozen=True)
class Mixed(AbstractClosedForm):
    """A mixture whose columns are independent given the component, each of the family of its kind.

    A column of numbers has atoms where its values recur (`taut.data.atoms`).

    Attributes:
        components: number of components.
        counts: family of columns of counts: `negative-binomial` or `poisson`.
    """

    name: ClassVar[str] = "mixed"
    default_inference: ClassVar[str] = "em"
    default_floor: ClassVar[float | None] = 1.0  # a pseudo-row, spread as the columns are
    floor_is_rows: ClassVar[bool] = True
    takes_kinds: ClassVar[bool] = True

    counts: _COUNTS = "negative-binomial"

    def __post_init__(self):
        super().__post_init__()
        if self.counts not in get_args(_COUNTS):
            raise InputError(
                " or ".join(get_args(_COUNTS)), repr(self.counts),
                nearest(self.counts, get_args(_COUNTS)), where="counts",
            )  # fmt: skip

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        asked = [i for i, form in enumerate(_forms(schema)) if form.likelihood]
        if asked:
            raise InputError(
                "columns with the families of their kinds, whose EM is exact",
                f"{_forms(schema)[asked[0]].likelihood} for {schema.named(asked)}",
                f"{option('model', 'vae')}, or leaving the likelihood out", where=where,
            )  # fmt: skip
        MixedLikelihood(forms=_forms(schema)).check(x.reshape(len(x), -1), where=where)

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        return ExactPair(
            ColumnMixture.uniform(
                _forms(schema), self.components, shape=schema.shape, counts=self.counts
            )
        )


def _forms(schema: Schema) -> tuple[ColumnForm, ...]:
    """Those of the columns' kinds; of cells that are all alike, of their support."""
    forms = column_forms(schema)
    if forms is not None:
        return tuple(
            form._replace(atoms=column.atoms, step=column.step)
            for form, column in zip(forms, schema.kinds or (), strict=True)
        )
    kind = {"binary": "binary", "count": "count", "categorical": "categorical"}
    shift, scale = (np.broadcast_to(v, schema.size) for v in schema.shift_scale())
    alike = kind.get(schema.support, "real")
    levels = (schema.levels or 0) if alike == "categorical" else 0
    found = [
        ColumnForm(alike, levels, float(m), float(s)) for m, s in zip(shift, scale, strict=True)
    ]
    for column, value in schema.constants():
        found[column] = ColumnForm("constant", shift=value)
    return tuple(found)
