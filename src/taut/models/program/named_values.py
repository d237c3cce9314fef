"""From draws of z to named values: the latents of a program in natural units, and what it derives.

Derived values (`numpyro.deterministic`) are reported like latents, in the program's order, as long as
all of them together have at most 1000 cells; larger ones, such as fitted values of many rows, are left
out by name.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import Datum
from taut.core.compiling import shared_jit
from taut.models.program.abstract import AbstractProgram
from taut.models.program.layout import scalars

__all__ = ["NamedValues"]

_MOST = 1000  # derived cells: 80 MB for 10 000 draws


class NamedValues(NamedTuple):
    """What is reported of z, by name.

    Attributes:
        model: the program.
        datum: its data.
        derived: names and shapes of the derived values that are reported.
        left_out: names of those that are not.
    """

    model: AbstractProgram
    datum: Datum
    derived: tuple[tuple[str, tuple[int, ...]], ...]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, model: AbstractProgram, datum: Datum) -> "NamedValues":
        """The values that are reported for a program and its data."""
        found = jax.eval_shape(model.derived, datum, jnp.zeros(model.dim))
        kept, left_out, cells = [], [], 0
        for name, value in found.items():
            size = math.prod(value.shape)
            if cells + size <= _MOST:
                kept.append((name, tuple(value.shape)))
                cells += size
            else:
                left_out.append(name)
        return cls(model, datum, tuple(kept), tuple(left_out))

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of all scalars: the latents', then those of derived values."""
        derived = (cell for name, shape in self.derived for cell in scalars(name, shape))
        return (*self.model.coordinates, *derived)

    @property
    def num_latents(self) -> int:
        """How many leading scalars belong to latents."""
        return len(self.model.coordinates)

    def values(self, z: Float[np.ndarray, "K d"]) -> dict[str, np.ndarray]:
        """Named values, each with leading axis K."""
        named = shared_jit(jax.vmap(self._named, in_axes=(0, None)))
        return jax.tree.map(np.asarray, named(jnp.asarray(z), self.datum))

    def table(self, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, "K C"]:
        """All scalars, in the order of `coordinates`."""
        names = [site.name for site in self.model.sites] + [name for name, _ in self.derived]

        def flat(one: Array, datum: Datum) -> Array:
            values = self._named(one, datum)
            return jnp.concatenate([jnp.ravel(values[name]).astype(float) for name in names])

        found = shared_jit(jax.vmap(flat, in_axes=(0, None)))(jnp.asarray(z), self.datum)
        return np.asarray(found, np.float64)

    def _named(self, z: Float[Array, " d"], datum: Datum) -> dict[str, Any]:
        values = dict(self.model.constrain(z))
        if self.derived:
            derived = self.model.derived(datum, z)
            values |= {name: derived[name] for name, _ in self.derived}
        return values
