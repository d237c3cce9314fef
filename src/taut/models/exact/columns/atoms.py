"""Columns of numbers with atoms: values that recur have probabilities of their own.

    p_k(x) = theta_k0 f_k(x) + sum_j theta_kj [|x - v_j| < h / 2] / h

f_k is another family's density, h the step between the values of a number, 1 of a count: a value that
was rounded to h stands for a cell of that width, and every p_k integrates to 1. EM is exact, since which
of the two a value comes from is one more latent: at v_j it is f_k with probability

    s_kj = theta_k0 f_k(v_j) / p_k(v_j)

Rows of an atom are alike, so that statistics are how many there are of each, and s_kj is worked out once
a pass. What a component sees of a floor's pseudo-rows is spread over the atoms as the column is, by
Laplace's rule.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.models.exact.columns.abstract import AbstractColumns
from taut.models.exact.columns.described import Described
from taut.models.exact.columns.tables import TableFloor, Tables
from taut.models.exact.given import Given

__all__ = ["Atoms"]


class AtomMoments(NamedTuple):
    """Sums with responsibilities.

    Attributes:
        rows: of 1 over the rows beside all atoms, and at each atom, column by column, (K, F).
        rest: statistics of the other family, of the cells beside all atoms.
    """

    rows: Float[Array, "K F"]
    rest: Any


class AtomFloor(NamedTuple):
    """What keeps the columns off the boundary.

    Attributes:
        which: of the probabilities.
        rest: of the other family.
    """

    which: TableFloor
    rest: Any


class Atoms(AbstractColumns):
    """Columns of another family, with V_d atoms each.

    Attributes:
        base: the other family.
        which: probabilities of codes, 0 of the other family and 1 + j of atom j, 1 + V_d a column.
        values: the atoms of each column, rising.
        steps: h of each column, in units of the data.
    """

    base: AbstractColumns
    which: Tables
    values: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    steps: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def uniform(
        cls,
        base: AbstractColumns,
        num_components: int,
        values: tuple[tuple[float, ...], ...],
        steps: tuple[float, ...],
    ) -> "Atoms":
        """Atoms of one probability, which the other family has, too."""
        levels = tuple(1 + len(own) for own in values)
        log_theta = -np.log(np.repeat(levels, levels))
        binary = (False,) * len(levels)
        which = Tables(jnp.tile(jnp.asarray(log_theta), (num_components, 1)), levels, binary)
        return cls(base, which, values, steps)

    @property
    def num_parameters(self) -> int:
        return self.base.num_parameters + self.which.num_parameters

    @property
    def width(self) -> int:
        return self.base.width + len(self.values)

    def log_cells(self, x: Float[Array, " D"]) -> Float[Array, "K D"]:
        log_theta, first = jnp.asarray(self.which.log_theta), self.which.first
        code = self._codes(x[None])[0]
        at = jnp.where(code > 0, log_theta[:, code + first] - np.log(self.steps), -jnp.inf)
        return jnp.logaddexp(log_theta[:, first] + self.base.log_cells(x), at)

    def kernel(
        self, *, few: bool = False
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        of_base, table = self.base.kernel(few=True), jnp.asarray(self.which.log_theta).T
        table = table.at[self._at].set(jnp.logaddexp(*self._at_atoms()))

        def summed(x: Array, seen: Array | None) -> Array:
            codes, known = self._codes(x), _known(x, seen)

            def step(total: Array, column: Any) -> tuple[Array, None]:
                place, own = column
                return total + jnp.where(own[:, None], table[place], 0.0), None

            start = of_base(x, known & (codes == 0))
            return jax.lax.scan(step, start, ((codes + self.which.first).T, known.T))[0]

        return summed

    def moments(
        self,
        x: Float[Array, "N D"],
        seen: Bool[Array, "N D"] | None,
        r: Float[Array, "N K"],
        *,
        few: bool = False,
    ) -> AtomMoments:
        codes, known = self._codes(x), _known(x, seen)
        number = sum(self.which.levels)
        places = jnp.where(known, codes + self.which.first, number)

        def step(sums: Array, place: Array) -> tuple[Array, None]:
            return sums.at[place].add(r, mode="drop"), None

        rows = jax.lax.scan(step, jnp.zeros((number, r.shape[1]), r.dtype), places.T)[0]
        return AtomMoments(rows.T, self.base.moments(x, known & (codes == 0), r, few=True))

    def rebased(self, statistics: AtomMoments, columns: "Atoms") -> AtomMoments:
        return statistics._replace(rest=self.base.rebased(statistics.rest, columns.base))

    def floor(
        self,
        rows: float | Float[np.ndarray, " D"],
        least: Float[Array, " D"],
        sample: Float[np.ndarray, "n D"],
    ) -> AtomFloor:
        missing = np.isnan(sample)
        codes = np.asarray(self._codes(jnp.asarray(np.where(missing, 0.0, sample))))
        which = self.which.floor(1.0, least, np.where(missing, np.nan, codes))
        # A column all of whose rows are at its atoms is spread as these are.
        smooth = (codes == 0) & ~missing
        beside = np.where(smooth | ~smooth.any(axis=0), sample, np.nan)
        own = rows * np.asarray(which.pseudo)[self.which.first]
        pseudo = jnp.asarray(rows * which.pseudo, least.dtype)
        return AtomFloor(TableFloor(pseudo), self.base.floor(own, least, beside))

    def maximized(self, statistics: AtomMoments, floor: AtomFloor) -> "Atoms":
        rows = statistics.rows + floor.which.pseudo
        beside, at = self._at_atoms()
        possible = beside > -jnp.inf
        share = jnp.where(possible, jnp.exp(beside - jnp.logaddexp(beside, at)), 0.0)
        moved = rows[:, self._at] * share.T
        # Pseudo-rows beside the atoms are spread by the other family's floor.
        more = self.base.moments(*self._atoms(rows.dtype), moved.T, few=True)
        base = self.base.maximized(jax.tree.map(jnp.add, statistics.rest, more), floor.rest)
        rows = rows.at[:, self._at].add(-moved).at[:, self.which.first[self._column]].add(moved)
        none = TableFloor(jnp.zeros_like(floor.which.pseudo))
        return Atoms(base, self.which.maximized(rows, none), self.values, self.steps)

    def log_penalty(self, floor: AtomFloor) -> Float[Array, ""]:
        log_p = jnp.asarray(self.which.log_theta).at[:, self._at]
        log_p = log_p.set(jnp.logaddexp(*self._at_atoms()).T)
        pseudo = floor.which.pseudo
        own = jnp.sum(jnp.where(pseudo > 0, pseudo * log_p, 0.0))
        return own + self.base.log_penalty(floor.rest)

    def held(self, floor: AtomFloor) -> Bool[Array, "K D"]:
        most = jnp.asarray(self.which.log_theta)[:, self.which.first] > math.log(0.5)
        return most & self.base.held(floor.rest)  # else its spread is the atoms'

    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        return self.base.singular(rounding) | self.which.singular(rounding)

    def given(self, r: Float[Array, " K"]) -> Given:
        """The mode is the median of the atoms where these are more probable than other values."""
        p, values = self.which.mixed(r), self._padded(0.0)
        beside = r[:, None] * jnp.exp(jnp.asarray(self.which.log_theta)[:, self.which.first])
        rest = self.base.given(beside / jnp.where(p[:, 0] > 0, p[:, 0], 1.0))
        mean = p[:, 0] * rest.mean + jnp.sum(p[:, 1:] * values, axis=1)
        squares = p[:, 0] * (rest.deviation**2 + (rest.mean - mean) ** 2)
        variance = squares + jnp.sum(p[:, 1:] * (values - mean[:, None]) ** 2, axis=1)
        below = jnp.cumsum(p[:, 1:], axis=1)
        place = jnp.argmax(below >= 0.5 * below[:, -1:], axis=1)
        median = jnp.asarray(values, mean.dtype)[np.arange(len(values)), place]
        mode = jnp.where(p[:, 0] < 0.5, median, rest.mode)
        return Given(mean, mode, jnp.sqrt(variance))

    def cumulative(self, column: int) -> Callable[[Float[Array, ""]], Float[Array, " K"]]:
        """Of an atom all at its value, where draws are."""
        beside, values = self.base.cumulative(column), np.asarray(self.values[column])
        first = int(self.which.first[column])
        theta = jnp.exp(jnp.asarray(self.which.log_theta)[:, first : first + 1 + len(values)])

        def cumulated(v: Float[Array, ""]) -> Float[Array, " K"]:
            at = jnp.sum(jnp.where(values <= v, theta[:, 1:], 0.0), axis=1)
            return theta[:, 0] * beside(v) + at

        return cumulated

    def mean(self, z: Float[Array, " K"]) -> Float[Array, " D"]:
        return self.given(z).mean

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " D"]:
        which, other = jax.random.split(key)
        code = self.which.sample(z, which).astype(int)
        drawn = self.base.sample(z, other)
        values = jnp.asarray(self._padded(0.0), drawn.dtype)
        return jnp.where(code > 0, values[np.arange(len(values)), code - 1], drawn)

    def points(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        return self.base.points(x)

    def described(self, names: list[str], categories: list[tuple[str, ...]]) -> list[Described]:
        found = jax.vmap(self.given)(jnp.eye(len(self.which.log_theta)))
        mean, deviation = np.asarray(found.mean), np.asarray(found.deviation)
        return [Described(f"mean_{n}", i, mean[:, i]) for i, n in enumerate(names)] + [
            Described(f"deviation_{n}", i, deviation[:, i]) for i, n in enumerate(names)
        ]

    @property
    def _column(self) -> Int[np.ndarray, " V"]:
        """The column of each atom."""
        return np.repeat(np.arange(len(self.values)), [len(own) for own in self.values])

    @property
    def _at(self) -> Int[np.ndarray, " V"]:
        """The place of each atom among all codes."""
        return np.delete(np.arange(sum(self.which.levels)), self.which.first)

    def _padded(self, filled: float) -> Float[np.ndarray, "D V"]:
        """The atoms of each column, filled up."""
        most = max(len(own) for own in self.values)
        return np.array([[*own, *[filled] * (most - len(own))] for own in self.values])

    def _codes(self, x: Float[Array, "N D"]) -> Int[Array, "N D"]:
        """1 + j at atom j, 0 beside all of them."""
        values = self._padded(np.inf)
        middle = jnp.asarray(0.5 * (values[:, 1:] + values[:, :-1]), x.dtype)
        nearest = jax.vmap(jnp.searchsorted, in_axes=(0, 1), out_axes=1)(middle, x)
        own = jnp.asarray(self._padded(0.0), x.dtype)[np.arange(len(values)), nearest]
        return jnp.where(jnp.abs(x - own) < 0.5 * np.asarray(self.steps), nearest + 1, 0)

    def _atoms(self, dtype: Any) -> tuple[Float[Array, "V D"], Bool[Array, "V D"]]:
        """Rows of one atom each, and which cell it is."""
        own = self._column[:, None] == np.arange(len(self.values))
        rows = np.where(own, np.concatenate(self.values)[:, None], 1.0)
        return jnp.asarray(rows, dtype), jnp.asarray(own)

    def _at_atoms(self) -> tuple[Float[Array, "V K"], Float[Array, "V K"]]:
        """log of theta_k0 f_k(v_j) and of theta_kj / h."""
        table = jnp.asarray(self.which.log_theta).T
        rows, own = self._atoms(table.dtype)
        beside = table[self.which.first[self._column]] + self.base.kernel(few=True)(rows, own)
        return beside, table[self._at] - np.log(self.steps)[self._column][:, None]


def _known(x: Float[Array, "N D"], seen: Bool[Array, "N D"] | None) -> Bool[Array, "N D"]:
    return jnp.ones(x.shape, bool) if seen is None else seen
