"""A column of numbers with atoms: values that recur have probabilities of their own.

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
from taut.models.exact.given import Given

__all__ = ["Atoms"]


class AtomMoments(NamedTuple):
    """Sums with responsibilities.

    Attributes:
        rows: of 1 over the rows beside all atoms, and at each atom, (K, 1 + V).
        rest: statistics of the other family, of the rows beside all atoms.
    """

    rows: Float[Array, "K F"]
    rest: Any


class AtomFloor(NamedTuple):
    """What keeps the column off the boundary.

    Attributes:
        pseudo: pseudo-rows beside all atoms, and at each atom, (1 + V,).
        rest: of the other family.
    """

    pseudo: Float[Array, " F"]
    rest: Any


class Atoms(AbstractColumns):
    """One column of another family, with V atoms.

    Attributes:
        base: the other family, of one column.
        log_theta: log-probabilities of the other family and of each atom, (K, 1 + V).
        values: the atoms, rising.
        step: h, in units of the data.
    """

    base: AbstractColumns
    log_theta: Float[Array, "K F"]
    values: tuple[float, ...] = eqx.field(static=True)
    step: float = eqx.field(static=True)

    @property
    def num_parameters(self) -> int:
        return self.base.num_parameters + len(self.log_theta) * len(self.values)

    @property
    def width(self) -> int:
        return self.base.width + 1

    def log_cells(self, x: Float[Array, " 1"]) -> Float[Array, "K 1"]:
        log_theta, code = jnp.asarray(self.log_theta), self._codes(x)
        at = jnp.where(code > 0, log_theta[:, code] - math.log(self.step), -jnp.inf)
        return jnp.logaddexp(log_theta[:, :1] + self.base.log_cells(x), at)

    def kernel(
        self,
    ) -> Callable[[Float[Array, "N 1"], Bool[Array, "N 1"] | None], Float[Array, "N K"]]:
        beside, at = self._at_atoms()
        of_base, table = self.base.kernel(), jnp.logaddexp(beside, at)

        def summed(x: Array, seen: Array | None) -> Array:
            code, known = self._codes(x[:, 0]), _known(x, seen)

            def with_base(log_p: Array, place: Array) -> Array:
                own = self.log_theta[:, 0] + of_base(x.at[place].get(mode="clip"), None)
                return log_p.at[place].set(own, mode="drop")

            log_p = _over(known & (code == 0), with_base, table[code - 1])
            return jnp.where(known[:, None], log_p, 0.0)

        return summed

    def moments(
        self, x: Float[Array, "N 1"], seen: Bool[Array, "N 1"] | None, r: Float[Array, "N K"]
    ) -> AtomMoments:
        code, known = self._codes(x[:, 0]), _known(x, seen)
        rows = jax.ops.segment_sum(jnp.where(known[:, None], r, 0.0), code, len(self.values) + 1)

        def with_base(sums: Any, place: Array) -> Any:
            cells, own = (a.at[place].get(mode="clip") for a in (x, r))
            more = self.base.moments(cells, (place < len(x))[:, None], own)
            return jax.tree.map(jnp.add, sums, more)

        shapes = jax.eval_shape(self.base.moments, x, known[:, None], r)
        none = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return AtomMoments(rows.T, _over(known & (code == 0), with_base, none))

    def rebased(self, statistics: AtomMoments, columns: "Atoms") -> AtomMoments:
        return statistics._replace(rest=self.base.rebased(statistics.rest, columns.base))

    def floor(
        self, rows: float, least: Float[Array, " 1"], sample: Float[np.ndarray, "n 1"]
    ) -> AtomFloor:
        known = sample[~np.isnan(sample[:, 0])]
        code = np.asarray(self._codes(jnp.asarray(known[:, 0])))
        number = np.bincount(code, minlength=len(self.values) + 1)
        share = (number + 1) / (len(known) + len(number))
        beside = known[code == 0] if (code == 0).any() else known
        own = self.base.floor(rows * share[0], least, beside)
        return AtomFloor(jnp.asarray(rows * share, least.dtype), own)

    def maximized(self, statistics: AtomMoments, floor: AtomFloor) -> "Atoms":
        rows = statistics.rows + floor.pseudo
        beside, at = self._at_atoms()
        possible = beside > -jnp.inf
        share = jnp.where(possible, jnp.exp(beside - jnp.logaddexp(beside, at)), 0.0)
        moved = rows[:, 1:] * share.T
        values = jnp.asarray(self.values, rows.dtype)[:, None]
        # Pseudo-rows beside the atoms are spread by the other family's floor.
        more = self.base.moments(values, None, moved.T)
        base = self.base.maximized(jax.tree.map(jnp.add, statistics.rest, more), floor.rest)
        first = rows[:, :1] + jnp.sum(moved, axis=1, keepdims=True)
        rows = jnp.concatenate([first, rows[:, 1:] - moved], axis=1)
        total = jnp.sum(rows, axis=1, keepdims=True)
        theta = rows / jnp.where(total > 0, total, 1.0)
        return self._with(base, jnp.where(total > 0, jnp.log(theta), self.log_theta))

    def log_penalty(self, floor: AtomFloor) -> Float[Array, ""]:
        log_p = jnp.concatenate([self.log_theta[:, :1], jnp.logaddexp(*self._at_atoms()).T], axis=1)
        pseudo = jnp.sum(jnp.where(floor.pseudo > 0, floor.pseudo * log_p, 0.0))
        return pseudo + self.base.log_penalty(floor.rest)

    def held(self, floor: AtomFloor) -> Int[Array, " K"]:
        most = jnp.asarray(self.log_theta)[:, 0] > math.log(0.5)  # else its spread is the atoms'
        return jnp.where(most, self.base.held(floor.rest), 0)

    def singular(self, rounding: Float[Array, " 1"]) -> Bool[Array, " K"]:
        return self.base.singular(rounding) | jnp.any(jnp.isnan(self.log_theta), axis=1)

    def given(self, r: Float[Array, " K"]) -> Given:
        """The mode is the median of the atoms where these are more probable than other values."""
        p = r @ jnp.exp(jnp.asarray(self.log_theta))
        beside, values = r * jnp.exp(jnp.asarray(self.log_theta)[:, 0]), jnp.asarray(self.values)
        rest = self.base.given(beside / jnp.where(p[0] > 0, p[0], 1.0))
        mean = p[0] * rest.mean + p[1:] @ values
        squares = p[0] * (rest.deviation**2 + (rest.mean - mean) ** 2)
        variance = squares + p[1:] @ (values - mean) ** 2
        below = jnp.cumsum(p[1:])
        median = values[jnp.argmax(below >= 0.5 * below[-1])]
        mode = jnp.where(p[0] < 0.5, median, rest.mode)
        return Given(mean, mode, jnp.sqrt(variance))

    def mean(self, z: Float[Array, " K"]) -> Float[Array, " 1"]:
        return self.given(z).mean

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " 1"]:
        which, other = jax.random.split(key)
        code = jax.random.categorical(which, jnp.log(z @ jnp.exp(jnp.asarray(self.log_theta))))
        drawn = self.base.sample(z, other)
        return jnp.where(code > 0, jnp.asarray(self.values, drawn.dtype)[code - 1], drawn)

    def points(self, x: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, "N F"]:
        return self.base.points(x)

    def described(self, names: list[str]) -> dict[str, Float[np.ndarray, " K"]]:
        found = jax.vmap(self.given)(jnp.eye(len(self.log_theta)))
        (name,) = names
        return {
            f"mean_{name}": np.asarray(found.mean)[:, 0],
            f"deviation_{name}": np.asarray(found.deviation)[:, 0],
        }

    def _with(self, base: AbstractColumns, log_theta: Float[Array, "K F"]) -> "Atoms":
        return Atoms(base, log_theta, self.values, self.step)

    def _codes(self, x: Float[Array, " N"]) -> Int[Array, " N"]:
        """1 + j at atom j, 0 beside all of them."""
        values = np.asarray(self.values)
        middle = 0.5 * (values[1:] + values[:-1])
        nearest = jnp.searchsorted(jnp.asarray(middle, x.dtype), x)
        away = jnp.abs(x - jnp.asarray(values, x.dtype)[nearest])
        return jnp.where(away < 0.5 * self.step, nearest + 1, 0)

    def _at_atoms(self) -> tuple[Float[Array, "V K"], Float[Array, "V K"]]:
        """log of theta_k0 f_k(v_j) and of theta_kj / h."""
        log_theta = jnp.asarray(self.log_theta)
        values = jnp.asarray(self.values, log_theta.dtype)[:, None]
        beside = log_theta[:, 0] + self.base.kernel()(values, None)
        return beside, log_theta[:, 1:].T - math.log(self.step)


def _known(x: Float[Array, "N 1"], seen: Bool[Array, "N 1"] | None) -> Bool[Array, " N"]:
    return jnp.ones(len(x), bool) if seen is None else seen[:, 0]


def _over(
    chosen: Bool[Array, " N"], step: Callable[[Any, Int[Array, " n"]], Any], start: Any
) -> Any:
    """A carry taken over the numbers of the chosen rows, of which there are few, filled up with N."""
    size = max(1, len(chosen) // 16)
    places = jnp.nonzero(chosen, size=len(chosen) + size, fill_value=len(chosen))[0]
    turns = (jnp.sum(chosen) + size - 1) // size

    def turn(i: Array, carry: Any) -> Any:
        return step(carry, jax.lax.dynamic_slice(places, (i * size,), (size,)))

    return jax.lax.fori_loop(0, turns, turn, start)
