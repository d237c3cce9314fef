"""`Reading`: what a NumPyro program is, apart from its data."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from taut.core import Datum
from taut.errors import InputError, counted
from taut.models.program.arguments import whole
from taut.models.program.discrete import Choice, Enumeration, Sites
from taut.models.program.distribution_support import support_of
from taut.models.program.failures import place, reading
from taut.models.program.layout import Layout
from taut.models.program.masked_latents import Idle
from taut.models.program.subsampled_plate import SubsampledPlate
from taut.models.program.supports import onto
from taut.models.program.tracing import run

__all__ = ["Reading"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a program is, apart from its data; compared by identity.

    Attributes:
        program: the function.
        settings: its data that are no arrays.
        layout: where its latents stand in z.
        all_layout: the same with the locals of all rows.
        plate: the one that is subsampled; None for all rows.
        enumeration: how its discrete latents are summed out; None where there are none.
        held: arrays with which `constrain` runs the program; None unless it takes a run.
        moving: observed sites whose support moves with latents.
        idle: cells of masked latents that keep their own density; see `masked_latents`.
        noncentred: latents whose place in z holds standard numbers; see `noncentred`.
    """

    program: Callable
    settings: dict[str, Any]
    layout: Layout
    all_layout: Layout
    plate: SubsampledPlate | None
    enumeration: Enumeration | None = None
    held: dict[str, Any] | None = None
    moving: frozenset[str] = frozenset()
    idle: dict[str, Idle] = field(default_factory=dict)
    noncentred: frozenset[str] = frozenset()

    def run(
        self,
        datum: Datum,
        value_of: Callable[[dict[str, Any]], Array],
        choice: Choice | None = None,
    ) -> Sites:
        """The program on a datum, or on the rows `datum.index` of it.

        Raises:
            InputError: a minibatch without row numbers, or with another number of them.
        """
        plate, arrays, index = self.plate, datum.x, None
        idle = {name: jnp.asarray(one.cells) for name, one in self.idle.items()}
        if plate is not None and plate.partial:
            if datum.index is None or datum.index.shape != (plate.batch_size,):
                raise InputError(
                    f"{counted(plate.batch_size, 'row number')} of plate '{plate.name}' in datum.index",
                    "none" if datum.index is None else f"shape {datum.index.shape}",
                    "all_rows() for the model of all rows",
                    where=place(self.program),
                )
            arrays = plate.gathered(arrays, datum.index)
            index = plate.row_numbers(datum.index)
            idle = {n: one.of_rows(plate.name, datum.index) for n, one in self.idle.items()}
        arguments = whole(arrays, self.settings)
        with reading(self.program):
            return run(self.program, arguments, value_of, plate, index, choice, idle)

    def random_values(
        self, sites: Sites, arrays: dict[str, Any], key: PRNGKeyArray
    ) -> dict[str, Array]:
        """Random values of the continuous latents of all rows, each in its support.

        Arguments:
            sites: as the program was traced.
            arrays: the data.
            key: of the draws.
        """
        values: dict[str, Array] = {}

        def value_of(msg: dict[str, Any]) -> Array:
            name, own = msg["name"], jax.random.fold_in(key, len(values))
            free = 0.5 * jax.random.normal(own, sites[name]["free_shape"])
            values[name] = onto(support_of(msg["fn"]), name)(free)
            return values[name]

        with reading(self.program):
            run(self.program, whole(arrays, self.settings), value_of)
        return values

    def all_rows(self) -> "Reading":
        """The reading of the same program with all rows at once."""
        assert self.plate is not None
        return replace(self.with_batch(self.plate.size), layout=self.all_layout)

    def with_batch(self, size: int) -> "Reading":
        """The reading with another number of rows in a batch, and the places of this one in z."""
        assert self.plate is not None
        return replace(self, plate=self.plate._replace(batch_size=size))
