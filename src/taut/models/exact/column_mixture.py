"""The mixture of columns of different kinds.

    p(x) = sum_k pi_k prod_d p(x_d; theta_kd)

    real         normal                     count        negative binomial, or Poisson
    positive     log-normal                 binary       Bernoulli
    constant     nothing                    category     categorical, ordered or not

Numbers and counts may have atoms, values with a probability of their own (`columns.atoms`). Columns are
independent given the component, so that a missing cell is left out of the product, and evidence,
posterior, conditionals and EM with holes are exact. The log-density is in the columns' own units: a
density in the first two kinds, a probability in the others.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from taut.core import DENSITY, MASS, NOTHING, Datum, InputError, Measure, option
from taut.models.column_forms import ColumnForm
from taut.models.exact.columns import (
    AbstractColumns,
    Atoms,
    Counts,
    Described,
    Numbers,
    Tables,
    named_apart,
)
from taut.models.exact.gaussian_statistics import responsibilities
from taut.models.exact.given import Given
from taut.models.exact.holes import Holes
from taut.models.exact.mixture import AbstractMixture, log_weights

__all__ = ["ColumnMixture", "ColumnStatistics"]

_FAMILIES = (("real", "positive"), ("count",), ("binary", "categorical", "ordinal"))
_MEASURES = {"real": DENSITY, "positive": DENSITY, "constant": NOTHING}


class ColumnStatistics(NamedTuple):
    """Expected statistics.

    Attributes:
        total: rows per component, (K,).
        parts: those of each family.
        log_evidence: sum over rows of weight times log p(x), (); nats.
    """

    total: Float[Array, " K"]
    parts: tuple[Any, ...]
    log_evidence: Float[Array, ""]


class ColumnMixture(AbstractMixture):
    """A mixture of K products of one family for each column of (D,) rows.

    Attributes:
        logits: unnormalised log-weights, (K,).
        parts: the families that occur.
        forms: of the columns, a constant one with its value as shift.
        shape: of a row; others than (D,) are read as flat, in C order.
    """

    logits: Float[Array, " K"]
    parts: tuple[AbstractColumns, ...]
    forms: tuple[ColumnForm, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def uniform(
        cls,
        forms: Sequence[ColumnForm],
        num_components: int,
        *,
        shape: tuple[int, ...] | None = None,
        counts: str = "negative-binomial",
    ) -> "ColumnMixture":
        """Equal components: where columns lie, with the spread that they have by their forms.

        Arguments:
            forms: of the columns.
            num_components: K.
            shape: of a row; (D,) when None.
            counts: family of counts, `negative-binomial` or `poisson`.
        """
        parts = []
        for places in _parts(forms):
            own = [forms[i]._replace(atoms=()) for i in places]
            part = _uniform(own, num_components, poisson=counts == "poisson")
            if forms[places[0]].atoms:
                atoms = tuple(forms[i].atoms for i in places)
                part = Atoms.uniform(
                    part, num_components, atoms, tuple(forms[i].step for i in places)
                )
            parts.append(part)
        whole = (len(forms),) if shape is None else shape
        return cls(jnp.zeros(num_components), tuple(parts), tuple(forms), whole)

    def alone(self) -> "ColumnMixture":
        """One component of the same families."""
        return self.equal(1)

    def equal(self, num_components: int) -> "ColumnMixture":
        """Equal components of the same families, as of `uniform`, whatever these parameters are."""
        bases = [part.base if isinstance(part, Atoms) else part for part in self.parts]
        counts = [part for part in bases if isinstance(part, Counts)]
        poisson = any(part.inverse_dispersion is None for part in counts)
        family = "poisson" if poisson else "negative-binomial"
        return self.uniform(self.forms, num_components, shape=self.shape, counts=family)

    @property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """The columns of each part."""
        return _parts(self.forms)

    @property
    def measure(self) -> Measure:
        return Measure(tuple(_MEASURES.get(form.kind, MASS) for form in self.forms))

    @property
    def num_parameters(self) -> int:
        return self.num_components - 1 + sum(part.num_parameters for part in self.parts)

    @property
    def width(self) -> int:
        return 2 * self.num_components + sum(part.width for part in self.parts)

    def log_components(self, datum: Datum) -> Float[Array, " K"]:
        x = jnp.reshape(datum.x, -1)
        mask = None if datum.mask is None else jnp.reshape(datum.mask, -1)
        total = jnp.zeros(self.num_components, jnp.asarray(self.logits).dtype)
        for part, at in self._placed():
            cells = part.log_cells(x[at])
            if mask is not None:
                cells = jnp.where(mask[at], cells, 0.0)
            total = total + jnp.sum(cells, axis=1)
        return total

    def mean(self, z: Float[Array, " K"]) -> Float[Array, "..."]:
        return self._whole([part.mean(z) for part in self.parts])

    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, "..."]:
        keys = jax.random.split(key, max(len(self.parts), 1))
        return self._whole([
            part.sample(z, k) for part, k in zip(self.parts, keys, strict=False)
        ])  # fmt: skip

    def given(self, datum: Datum) -> Given:
        r = self.responsibilities(datum)
        found = zip(*(part.given(r) for part in self.parts), strict=True)
        mean, mode, deviation = (self._whole(list(cells)) for cells in found)
        constant = np.asarray([form.kind == "constant" for form in self.forms])
        deviation = jnp.where(constant.reshape(self.shape), 0.0, deviation)
        if datum.mask is None:
            return Given(datum.x, datum.x, jnp.zeros_like(deviation))
        seen = (datum.x, datum.x, jnp.zeros_like(deviation))
        return Given(*(
            jnp.where(datum.mask, a, b) for a, b in zip(seen, (mean, mode, deviation), strict=True)
        ))  # fmt: skip

    def cumulative(
        self, datum: Datum, place: int
    ) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        r = self.responsibilities(datum)
        for part, places in zip(self.parts, self.places, strict=True):
            if place in places:
                own = part.cumulative(places.index(place))
                return lambda v: r @ own(v)
        return lambda v: jnp.asarray(v >= self.forms[place].shift, r.dtype)  # a constant

    def completed(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, "..."]:
        z_key, x_key = jax.random.split(key)
        drawn = self.sample(self.drawn_component(datum, z_key), x_key)
        return datum.x if datum.mask is None else jnp.where(datum.mask, datum.x, drawn)

    def expectation(self) -> Callable[..., ColumnStatistics]:
        kernels, log_pi = [part.kernel() for part in self.parts], self.log_pi

        def expected(x: Array, weight: Array, holes: Holes | None = None) -> ColumnStatistics:
            own = self._split(x, None if holes is None else holes.mask)
            log_joint = jnp.broadcast_to(log_pi, (len(x), len(log_pi)))
            for kernel, cells in zip(kernels, own, strict=True):
                log_joint = log_joint + kernel(*cells)
            r, log_evidence = responsibilities(log_joint, weight)
            return self._gathered(own, r, log_evidence)

        return expected

    def assigned(self, x: Float[Array, "N ..."], r: Float[Array, "N K"]) -> ColumnStatistics:
        return self._gathered(self._split(x, None), r, jnp.full((), jnp.nan))

    def rebased(self, statistics: ColumnStatistics, model: Any) -> ColumnStatistics:
        moved = zip(self.parts, statistics.parts, model.parts, strict=True)
        return statistics._replace(
            parts=tuple(part.rebased(own, other) for part, own, other in moved)
        )

    def floor(
        self,
        strength: float,
        *,
        added: float,
        least: Float[Array, "..."],
        sample: Float[np.ndarray, "n ..."],
    ) -> tuple[Any, ...]:
        """Of each part; strength is pseudo-rows that every component sees, spread as the columns are."""
        if added > 0:
            raise InputError(
                "reg_covar for a Gaussian mixture",
                "a mixture of columns of several kinds, which has no covariance",
                option("floor"), where=option("reg_covar"),
            )  # fmt: skip
        rows, least = np.asarray(sample).reshape(len(sample), -1), jnp.reshape(least, -1)
        return tuple(part.floor(strength, least[at], rows[:, at]) for part, at in self._placed())

    def maximized(self, statistics: ColumnStatistics, floor: tuple[Any, ...]) -> "ColumnMixture":
        own = zip(self.parts, statistics.parts, floor, strict=True)
        parts = tuple(part.maximized(sums, least) for part, sums, least in own)
        return ColumnMixture(log_weights(statistics.total), parts, self.forms, self.shape)

    def log_penalty(self, floor: tuple[Any, ...]) -> Float[Array, ""]:
        own = zip(self.parts, floor, strict=True)
        return sum((part.log_penalty(least) for part, least in own), start=jnp.zeros(()))

    def held_by_floor(self, floor: tuple[Any, ...]) -> Int[Array, " C"]:
        own = zip(self.parts, floor, strict=True)
        start = jnp.zeros(self.num_components, int)
        return sum((jnp.sum(part.held(least), axis=1) for part, least in own), start=start)

    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        rounding, found = jnp.reshape(rounding, -1), jnp.zeros(self.num_components, bool)
        for part, at in self._placed():
            found = found | part.singular(rounding[at])
        return found

    def points(self, x: Float[np.ndarray, "N ..."]) -> Float[np.ndarray, "N F"]:
        """Rows as k-means measures them; NaN where a cell is missing."""
        flat = np.asarray(x).reshape(len(x), -1)
        return np.concatenate([part.points(flat[:, at]) for part, at in self._placed()], axis=1)

    def described(
        self, names: Sequence[str], categories: Sequence[tuple[str, ...]]
    ) -> dict[str, Float[np.ndarray, " K"]]:
        """The parameters of the components by column, for a table.

        Arguments:
            names: of the columns, (D,).
            categories: for each of them the names that its codes stand for, empty where it has none.
        """
        found: list[Described] = []
        for part, at in self._placed():
            places = [int(i) for i in at]
            own = part.described([names[i] for i in places], [categories[i] for i in places])
            found += [one._replace(column=places[one.column]) for one in own]
        return named_apart(found)

    def _placed(self) -> list[tuple[AbstractColumns, Int[np.ndarray, " d"]]]:
        """The parts with their columns."""
        return [(p, np.asarray(at)) for p, at in zip(self.parts, self.places, strict=True)]

    def _split(
        self, x: Shaped[Array, "N ..."], mask: Bool[Array, "N ..."] | None
    ) -> list[tuple[Array, Array | None]]:
        """The cells of each part, and which of them are observed."""
        flat, seen = x.reshape(len(x), -1), None if mask is None else mask.reshape(len(x), -1)
        return [(flat[:, at], None if seen is None else seen[:, at]) for _, at in self._placed()]

    def _gathered(
        self, own: list[tuple[Array, Array | None]], r: Array, log_evidence: Array
    ) -> ColumnStatistics:
        parts = zip(self.parts, own, strict=True)
        sums = tuple(part.moments(*cells, r) for part, cells in parts)
        return ColumnStatistics(jnp.sum(r, axis=0), sums, log_evidence)

    def _whole(self, parts: list[Float[Array, " d"]]) -> Float[Array, "..."]:
        """A row of the columns of all parts, and the value of every constant one."""
        dtype = jnp.asarray(self.logits).dtype
        row = jnp.asarray([f.shift if f.kind == "constant" else 0.0 for f in self.forms], dtype)
        for own, at in zip(parts, self.places, strict=True):
            row = row.at[np.asarray(at)].set(own.astype(dtype))
        return row.reshape(self.shape)


def _parts(forms: Sequence[ColumnForm]) -> tuple[tuple[int, ...], ...]:
    """The columns of each part: those of a family that have no atoms, and those that have some."""
    of_parts = (
        tuple(i for i, f in enumerate(forms) if f.kind in kinds and bool(f.atoms) == atoms)
        for atoms in (False, True)
        for kinds in _FAMILIES
    )
    return tuple(filter(None, of_parts))


def _uniform(forms: Sequence[ColumnForm], number: int, *, poisson: bool) -> AbstractColumns:
    """Equal components of columns of one family."""
    shift, scale = (
        tuple(f.shift for f in forms),
        tuple(f.scale if f.scale > 0 else 1.0 for f in forms),
    )
    wide = jnp.ones((number, len(forms)))
    if forms[0].kind in ("real", "positive"):
        logged = tuple(form.kind == "positive" for form in forms)
        location, spread = jnp.asarray(shift), jnp.asarray(scale)
        return Numbers(wide * location, wide * spread, logged, shift, scale)
    if forms[0].kind == "count":
        means = wide * jnp.maximum(jnp.expm1(jnp.asarray(shift)), 1e-3)
        return Counts(means, None if poisson else wide, shift, scale)
    levels = tuple(max(form.levels, 2) for form in forms)
    log_theta = -jnp.log(jnp.asarray(np.repeat(levels, levels), wide.dtype))
    binary = tuple(form.kind == "binary" for form in forms)
    return Tables(jnp.tile(log_theta, (number, 1)), levels, binary)
