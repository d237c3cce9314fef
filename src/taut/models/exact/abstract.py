"""`AbstractExactModel`: a model whose evidence and posterior are in closed form, with exact EM.

    E-step    s = sum_n w_n E_{p(z | x_n)}[s(x_n, z)],    and  sum_n w_n log p(x_n)  on the way
    M-step    theta <- argmax over theta of E[log p(x, z; theta)] + log penalty(theta)

Statistics are pytrees of arrays that add up over rows, so that data may come in pieces of any size
(Dempster, Laird and Rubin 1977); a model may keep few and wide rows as they are instead. They may be
moments about a point that depends on the model, which keeps them accurate; `rebased` moves them to the
point of another model.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core import DENSITY, AbstractModel, Datum, Measure
from taut.models.exact.given import Given
from taut.models.exact.holes import Holes

__all__ = ["AbstractExactModel"]


class AbstractExactModel(AbstractModel):
    """p(x, z) with log p(x) and p(z | x) in closed form."""

    statistics_depend_on_model: ClassVar[bool]
    """False when the statistics are moments of x alone, so that one pass over the data is enough."""

    @property
    def measure(self) -> Measure:
        return Measure((DENSITY,))

    @abstractmethod
    def log_evidence(self, datum: Datum) -> Float[Array, ""]:
        """log p(x) of the observed cells, exact; nats."""

    @abstractmethod
    def posterior(self, datum: Datum) -> Any:
        """p(z | x), exact: a proposal or a NumPyro distribution."""

    @abstractmethod
    def given(self, datum: Datum) -> Given:
        """The mean, mode and standard deviation of every cell given the observed ones; exact."""

    @abstractmethod
    def cumulative(
        self, datum: Datum, place: int
    ) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
        """P(x_d <= v | x_o) of a missing cell as a function of v, exact, with what it needs of the row
        worked out once.

        Arguments:
            datum: one row.
            place: d, the number of the cell in the flat row.
        """

    @abstractmethod
    def completed(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, "..."]:
        """The row with its missing cells drawn together from p(x | x_o), exact."""

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Free parameters, as an information criterion counts them."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers that the E-step holds for each row of a batch."""

    def width_with_holes(self, most: int) -> int:
        """The same for rows of which so many cells are missing."""
        return self.width

    @abstractmethod
    def expectation(self) -> Callable[..., Any]:
        """The E-step, with what it needs of the parameters worked out once.

        Returns:
            a function of rows, (N, *shape), their weights, (N,), and their `Holes` if they have any, to
            expected sufficient statistics summed over the rows with those weights. What is missing
            counts as the model expects it given what was observed; its value does not matter.
        """

    def expected(
        self, x: Float[Array, "N ..."], weight: Float[Array, " N"], holes: Holes | None = None
    ) -> Any:
        """The E-step on one batch."""
        return self.expectation()(x, weight, holes)

    def with_holes(self, statistics: Any) -> Any:
        """Statistics that this model gathered of rows with all their cells, in the form that they have
        where some cells are missing, so that they add up with such."""
        return statistics

    def keeps(self, num_rows: int) -> bool:
        """Whether so many rows are their own statistics, being smaller than those that add up."""
        return False

    def kept(self, x: Float[Array, "N ..."]) -> Any:
        """The statistics of all rows where the model `keeps` them."""
        raise NotImplementedError  # for models that never do

    @abstractmethod
    def rebased(self, statistics: Any, model: Any) -> Any:
        """Statistics gathered by this model, as `model` would hold the same ones."""

    @abstractmethod
    def log_evidence_of(self, statistics: Any) -> Float[Array, ""]:
        """sum_n w_n log p(x_n) of the rows behind statistics that this model gathered; nats."""

    @abstractmethod
    def floor(
        self,
        strength: float,
        *,
        added: float,
        least: Float[Array, "..."],
        sample: Float[np.ndarray, "n ..."],
    ) -> Any:
        """What keeps the parameters off the boundary, as arrays for `maximized`.

        Arguments:
            strength: pseudo-rows, for tables of probabilities; 0 for none.
            added: what is added to the diagonal of covariances after the M-step, 0 for nothing.
            least: variance that a density may not fall below, of the data's shape; 0 for none.
            sample: training rows, NaN where a cell was not observed.

        Raises:
            InputError: the model does not serve `added`.
        """

    @abstractmethod
    def maximized(self, statistics: Any, floor: Any) -> Any:
        """The M-step: the model that maximises the penalised expected log-joint."""

    @abstractmethod
    def log_penalty(self, floor: Any) -> Float[Array, ""]:
        """What `floor` adds to the log-evidence in the objective that EM raises; nats."""

    @abstractmethod
    def held_by_floor(self, floor: Any) -> Int[Array, " C"]:
        """In how many directions the floor decides the spread of each component, or of the noise.

        There the density would grow without bound if the floor were taken away. C is K, or 1 for a
        model without components, or with one covariance for all.
        """

    @abstractmethod
    def singular(self, rounding: Float[Array, "..."]) -> Bool[Array, " K"]:
        """Which components (one for a model without) have lost a direction to rounding.

        Arguments:
            rounding: variance that rounding alone gives each cell, of the data's shape.
        """
