"""The guide without an encoder: a table of variational parameters, one row per datum.

    q(z | x_i) = family(table[i])

There is no amortization gap, for no network has to name all posteriors at once; there is no guide for a
new datum either. Rows are found by `datum.index`, which need not be consecutive. A datum whose index
is not in the table is refused; in a compiled program, which cannot raise, it gets NaN features, so that
no number is computed from another datum's row.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from taut.core import Datum, InputError, counted, num_rows
from taut.guides.abstract import AbstractFamily

__all__ = ["PerDatumGuide"]


class PerDatumGuide(eqx.Module):
    """A table of features of a variational family.

    Attributes:
        table: features of each datum, (N, F).
        numbers: the data's numbers in their data set, rising, (N,).
        family: variational family.
    """

    table: Float[Array, "N F"]
    numbers: Int[Array, " N"]
    family: AbstractFamily

    @classmethod
    def start(
        cls,
        family: AbstractFamily,
        rows: Datum,
        *,
        features: Float[Array | np.ndarray, "N F"] | None = None,
    ) -> "PerDatumGuide":
        """A table for given rows.

        Arguments:
            family: variational family.
            rows: a batched datum with `index`, as the training will see them.
            features: where each row starts, in the order of `rows`, such as an encoder's output;
                None for zeros, which are N(0, I) in the Gaussian families.

        Raises:
            InputError: rows without an index, one index twice, features of another shape.
        """
        if rows.index is None:
            raise InputError(
                "rows with an index, which keys the table",
                "rows without one",
                "Datum(x, index=np.arange(len(x)))",
                where="rows",
            )
        index = np.asarray(rows.index)
        numbers, order = np.unique(index, return_index=True)
        if index.shape != (num_rows(rows),) or numbers.size != index.size:
            raise InputError(
                "one index for each row and none twice",
                f"{numbers.size} different ones in shape {index.shape} for "
                f"{counted(num_rows(rows), 'row')}",
                "numbering the rows from 0",
                where="index",
            )
        shape = (index.size, family.num_features)
        if features is not None and np.shape(features) != shape:
            raise InputError(
                f"features of shape {shape}", f"{np.shape(features)}",
                "one row of features for each datum", where="features",
            )  # fmt: skip
        table = jnp.zeros(shape) if features is None else jnp.asarray(features)[order]
        return cls(table, jnp.asarray(numbers), family)

    def __call__(self, datum: Datum) -> Any:
        """q(z | x) with event shape (latent_dim,).

        Raises:
            InputError: a datum without an index, or with a concrete one that is not in the table.
        """
        features = self.table.at[self.position(datum)].get(mode="fill", fill_value=jnp.nan)
        return self.family(features)

    def position(self, datum: Datum) -> Int[Array, ""]:
        """The row of the table that belongs to a datum; for a traced datum without one, N.

        Raises:
            InputError: a datum without an index, or with a concrete one that is not in the table.
        """
        if datum.index is None:
            raise InputError(
                "a datum with an index, which keys the table",
                "one without",
                "rows that carry their numbers, or an amortized guide for new rows",
                where="PerDatumGuide",
            )
        nearest = jnp.searchsorted(self.numbers, datum.index)
        found = self.numbers.at[nearest].get(mode="clip") == datum.index
        if not isinstance(found, Tracer) and not found:
            raise InputError(
                f"one of the {counted(self.numbers.shape[0], 'row')} that the table was made for",
                f"row {datum.index}",
                "an amortized guide for new rows",
                where="PerDatumGuide",
            )
        return jnp.where(found, nearest, self.numbers.shape[0])
