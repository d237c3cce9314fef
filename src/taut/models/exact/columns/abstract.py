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
        self,
    ) -> Callable[[Float[Array, "N D"], Bool[Array, "N D"] | None], Float[Array, "N K"]]:
        """The sum of `log_cells` over the observed cells of rows."""

    @abstractmethod
    def moments(
        self, x: Float[Array, "N D"], seen: Bool[Array, "N D"] | None, r: Float[Array, "N K"]
    ) -> Any:
        """Expected statistics, summed over rows with responsibilities r."""

    @abstractmethod
    def rebased(self, statistics: Any, columns: Any) -> Any:
        """Statistics gathered by these columns, as `columns` would hold the same ones."""

    @abstractmethod
    def floor(
        self, rows: float, least: Float[Array, " D"], sample: Float[np.ndarray, "n D"]
    ) -> Any:
        """What keeps the parameters off the boundary, as arrays.

        Arguments:
            rows: a, pseudo-rows that every component sees; 0 for none.
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
    def held(self, floor: Any) -> Int[Array, " K"]:
        """Columns whose spread is that of the floor."""

    @abstractmethod
    def singular(self, rounding: Float[Array, " D"]) -> Bool[Array, " K"]:
        """Which components have lost a column to rounding."""

    @abstractmethod
    def given(self, r: Float[Array, " K"]) -> Given:
        """What the cells are under components with these probabilities, (D,) each."""

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
    def described(self, names: list[str]) -> dict[str, Float[np.ndarray, " K"]]:
        """The parameters of the components by column, for a table."""


def summed_cells(
    log_cell: Callable[..., Float[Array, "N K"]],
    x: Float[Array, "N D"],
    seen: Bool[Array, "N D"] | None,
    parameters: tuple[Float[Array, "K D"], ...],
) -> Float[Array, "N K"]:
    """sum_d log_cell(x_d, theta_kd) over observed cells, column by column: no array is (N, K, D)."""

    def step(total: Array, column: Any) -> tuple[Array, None]:
        cells, known, theta = column
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
) -> Float[Array, "K D"]:
    """sum_n r_nk of_cell(x_nd, theta_kd) over observed cells, column by column."""

    def step(_: None, column: Any) -> tuple[None, Array]:
        cells, known, theta = column
        own = r if known is None else jnp.where(known[:, None], r, 0.0)
        return None, jnp.sum(own * of_cell(cells[:, None], *theta), axis=0)

    return jax.lax.scan(step, None, _by_column(x, seen, parameters))[1].T


def _by_column(x: Array, seen: Array | None, parameters: tuple[Array, ...]) -> Any:
    known = None if seen is None else seen.T
    return x.T, known, tuple(jnp.asarray(p).T for p in parameters)
