"""`ColumnForm`: what a model knows of a column. `ColumnReader`: what an encoder sees of a row of them.

    real        (x - shift) / scale
    positive    (log x - shift) / scale
    count       (log(1 + x) - shift) / scale
    binary      2 x - 1
    category    one number for each of its values: 1 for the one that is there, else 0
    ordinal     2 x / (levels - 1) - 1
    constant    nothing

A cell that is not observed reads as 0, and where rows of the data have such cells the mask goes beside.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from taut.data import Schema

__all__ = ["ColumnForm", "ColumnReader", "column_forms"]


class ColumnForm(NamedTuple):
    """A column.

    Attributes:
        kind: of `taut.data.kinds`.
        levels: number of categories, ordered or not; 0 for other kinds.
        shift, scale: of its numbers, or of their logarithms.
        likelihood: that was asked for; empty for the one of its kind.
        atoms, step: numbers that recur, and the step between values; none where a family has no atoms.
    """

    kind: str
    levels: int = 0
    shift: float = 0.0
    scale: float = 1.0
    likelihood: str = ""
    atoms: tuple[float, ...] = ()
    step: float = 0.0


def column_forms(schema: Schema) -> tuple[ColumnForm, ...] | None:
    """Those of a table whose columns differ in kind; None for other data."""
    if schema.kinds is None:
        return None
    return tuple(
        ColumnForm(c.kind, len(c.names), c.shift, c.scale, c.likelihood) for c in schema.kinds
    )


class ColumnReader(eqx.Module):
    """From a row to what an encoder reads.

    Attributes:
        forms: of the columns.
    """

    forms: tuple[ColumnForm, ...] = eqx.field(static=True)

    def size(self, *, marked: bool) -> int:
        """Numbers that the encoder reads."""
        own = sum({"constant": 0, "categorical": f.levels}.get(f.kind, 1) for f in self.forms)
        return own + (len(self.forms) if marked else 0)

    def __call__(
        self, x: Float[Array, " D"], mask: Bool[Array, " D"] | None, *, marked: bool
    ) -> Float[Array, " F"]:
        """A row, whose cells may hold anything where they are not observed."""
        seen = jnp.ones(x.shape, bool) if mask is None else mask
        x = jnp.where(seen, x, 1)  # in every support
        parts = [
            jnp.where(seen[i], _read(x[i], form), 0.0)
            for i, form in enumerate(self.forms)
            if form.kind != "constant"
        ]
        return jnp.concatenate([*parts, seen.astype(x.dtype)] if marked else parts)


def _read(x: Float[Array, ""], form: ColumnForm) -> Float[Array, " f"]:
    if form.kind == "categorical":
        return jax.nn.one_hot(x.astype(int), form.levels, dtype=x.dtype)
    if form.kind == "ordinal":
        return (2 * x / (form.levels - 1) - 1)[None]
    if form.kind == "binary":
        return (2 * x - 1)[None]
    t = {"positive": jnp.log, "count": jnp.log1p}.get(form.kind, lambda v: v)(x)
    return ((t - form.shift) / form.scale)[None]
