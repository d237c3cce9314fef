"""`AbstractColumns`: columns of one family, independent given the component.

    log p_k(x) = sum over observed d of log p(x_d; theta_kd)

Their statistics add up over rows. Under a floor of a pseudo-rows every component sees so many more rows,
spread as the columns are on their own, and the M-step maximises

    sum_n r_nk log p(x_nd; theta_kd) + a E_alone[log p(x_d; theta_kd)]

where E_alone is the mean over a sample of training rows. A component that owns few rows falls back to
the columns themselves, and no value that the data have becomes impossible.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.models.exact.columns.described import Described
from taut.models.exact.given import Given

__all__ = ["AbstractColumns", "gathered_cells", "summed_cells"]


class AbstractColumns(eqx.Module):
    """D columns of one family under K components.

    Cells that were not observed may hold anything; `seen` is True elsewhere, None where all are.
    """

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Free parameters of all components."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers that the E-step holds for each row beside those of the components."""

    @abstractmethod
    def log_cells(self, x: Float[Array, " D"]) -> Float[Array, "K D"]:
        """log p(x_d; theta_kd); nats."""

    @abstractmethod
    def kernel(
        self, *, few: bool = False
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        """The sum of `log_cells` over the observed cells of rows.

        Arguments:
            few: whether few of the cells are observed, so that it pays to look for them.
        """

    @abstractmethod
    def moments(
        self,
        x: Float[Array, "N D"],
        seen: Bool[Array, "N D"] | None,
        r: Float[Array, "N K"],
        *,
        few: bool = False,
    ) -> Any:
        """Expected statistics, summed over rows with responsibilities r; `few` as of `kernel`."""

    @abstractmethod
    def rebased(self, statistics: Any, columns: Any) -> Any:
        """Statistics gathered by these columns, as `columns` would hold the same ones."""

    @abstractmethod
    def floor(
        self,
        rows: float | Float[np.ndarray, " D"],
        least: Float[Array, " D"],
        sample: Float[np.ndarray, "n D"],
    ) -> Any:
        """What keeps the parameters off the boundary, as arrays.

        Arguments:
            rows: a, pseudo-rows that every component sees, of each column its own if need be; 0 for
                none.
            least: variance that a density may not fall below, in squared units of the data.
            sample: training rows, NaN where a cell was not observed.
        """

    @abstractmethod
    def maximized(self, statistics: Any, floor: Any) -> Any:
        """The columns at the maximum; a component without rows keeps what it has."""

    @abstractmethod
    def log_penalty(self, floor: Any) -> Float[Array, ""]:
        """a E_alone[log p] over components and columns; nats."""

    @abstractmethod
    def held(self, floor: Any) -> Bool[Array, "K D"]:
        """Whether the spread of a column is that of the floor."""

    @abstractmethod
    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        """Which components have lost a column to rounding."""

    @abstractmethod
    def given(self, r: Float[Array, "K *D"]) -> Given:
        """What the cells are under components with these probabilities, (D,) each.

        Arguments:
            r: p(k), or for numbers and counts also that of each column.
        """

    @abstractmethod
    def cumulative(self, column: int) -> Callable[[Float[Array, ""]], Float[Array, " K"]]:
        """P(x_d <= v | k) of a column as a function of v."""

    @abstractmethod
    def mean(self, z: Float[Array, " K"]) -> Float[Array, " D"]:
        """E[x | z]; of a category the most probable one."""

    @abstractmethod
    def sample(self, z: Float[Array, " K"], key: PRNGKeyArray) -> Float[Array, " D"]:
        """A draw from the component that the one-hot z names."""

    @abstractmethod
    def points(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        """Rows as k-means measures them, columns on a scale of about 1; NaN where a cell is missing."""

    @abstractmethod
    def described(self, names: list[str], categories: list[tuple[str, ...]]) -> list[Described]:
        """The parameters of the components by column, for a table.

        Arguments:
            names: of the columns.
            categories: for each of them the names that its codes stand for, empty where it has none.
        """


def summed_cells(
    log_cell: Callable[..., Float[Array, "N K"]],
    x: Float[Array, "N D"],
    seen: Bool[Array, "N D"] | None,
    parameters: tuple[Float[Array, "K D"], ...],
    *,
    few: bool = False,
) -> Float[Array, "N K"]:
    """sum_d log_cell(x_d, theta_kd) over observed cells, column by column: no array is (N, K, D)."""

    def step(total: Array, column: Any) -> tuple[Array, None]:
        cells, known, theta = column
        if few and known is not None:

            def added(total: Array, place: Array) -> Array:
                log_p = log_cell(cells.at[place].get(mode="clip")[:, None], *theta)
                return total.at[place].add(log_p, mode="drop")

            return _over(known, added, total), None
        log_p = log_cell(cells[:, None], *theta)
        return total + (log_p if known is None else jnp.where(known[:, None], log_p, 0.0)), None

    start = jnp.zeros((len(x), len(parameters[0])), x.dtype)
    return jax.lax.scan(step, start, _by_column(x, seen, parameters))[0]


def gathered_cells(
    of_cell: Callable[..., Float[Array, "N K"]],
    x: Float[Array, "N D"],
    seen: Bool[Array, "N D"] | None,
    r: Float[Array, "N K"],
    parameters: tuple[Float[Array, "K D"], ...],
    *,
    few: bool = False,
) -> Float[Array, "K D"]:
    """sum_n r_nk of_cell(x_nd, theta_kd) over observed cells, column by column."""

    def step(_: None, column: Any) -> tuple[None, Array]:
        cells, known, theta = column
        if few and known is not None:

            def added(sums: Array, place: Array) -> Array:
                own = r.at[place].get(mode="fill", fill_value=0.0)
                values = of_cell(cells.at[place].get(mode="clip")[:, None], *theta)
                return sums + jnp.sum(own * values, axis=0)

            return None, _over(known, added, jnp.zeros(r.shape[1], x.dtype))
        own = r if known is None else jnp.where(known[:, None], r, 0.0)
        return None, jnp.sum(own * of_cell(cells[:, None], *theta), axis=0)

    return jax.lax.scan(step, None, _by_column(x, seen, parameters))[1].T


def _by_column(x: Array, seen: Array | None, parameters: tuple[Array, ...]) -> Any:
    known = None if seen is None else seen.T
    return x.T, known, tuple(jnp.asarray(p).T for p in parameters)


def _over(
    chosen: Bool[Array, " N"], step: Callable[[Array, Int[Array, " n"]], Array], start: Array
) -> Array:
    """A carry taken over the numbers of the chosen rows, of which there are few, filled up with N."""
    size = max(1, len(chosen) // 16)
    places = jnp.nonzero(chosen, size=len(chosen) + size, fill_value=len(chosen))[0]
    turns = (jnp.sum(chosen) + size - 1) // size

    def turn(i: Array, carry: Array) -> Array:
        return step(carry, jax.lax.dynamic_slice(places, (i * size,), (size,)))

    return jax.lax.fori_loop(0, turns, turn, start)
