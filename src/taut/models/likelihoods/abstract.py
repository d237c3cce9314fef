"""`AbstractLikelihood`: p(x | outputs), cell by cell, where outputs are what a decoder makes of z.

    log p(x | outputs) = sum over observed cells d of log p(x_d | outputs_{:, d})        [nats]

Cells are independent given the outputs, so a cell that was not observed is integrated out by leaving
it out of the sum: exact, with no imputation. Every constant of every density is kept.
"""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpyro.distributions import Distribution

from taut.core import DENSITY, MASS, InputError, PlainFields
from taut.distributions import accurate

__all__ = ["AbstractLikelihood", "Start", "refuse_first", "refuse_infinite"]


class Start(NamedTuple):
    """Where training rows would have a likelihood start: at columns that are independent.

    Attributes:
        likelihood: with the parameters that all rows share.
        outputs: the same for every row, (num_outputs, *data_shape).
        spread: by how much an output moves where its column moves by a standard deviation, of the
            shape of `outputs`; 1 where an output has no unit.
    """

    likelihood: Any
    outputs: Float[Array, "outputs *data"]
    spread: Float[Array, "outputs *data"]


class AbstractLikelihood(PlainFields, eqx.Module):
    """The family of p(x | outputs), with the parameters that all rows share.

    Outputs are unconstrained reals of shape `(num_outputs, *data_shape)`; each member says how it
    maps them to the parameters of its family.

    Attributes:
        name: in files and on the command line.
        discrete: True for a probability mass function, False for a density; bits per dimension and
            comparisons between families on one data set need a mass function.
        counts: True where cells are counts, which an encoder reads by their logarithms.
        num_outputs: number of decoder outputs per cell.
    """

    name: ClassVar[str]
    discrete: ClassVar[bool]
    counts: ClassVar[bool] = False
    num_outputs: eqx.AbstractVar[int]

    @property
    def measures(self) -> tuple[str, ...]:
        """What the log-probability is with respect to: one `CellKind` for all cells, or one for each."""
        return (MASS if self.discrete else DENSITY,)

    @property
    def given_totals(self) -> bool:
        """Whether a row is judged given its own total, which is not the law that rows are drawn from."""
        return False

    @property
    def usual_total(self) -> float:
        """The total of counts that are judged at totals, where neither a row nor a user names one.

        Raises:
            NotImplementedError: a family that is not judged at totals.
        """
        raise NotImplementedError(f"{self.name} is not judged at totals")

    def at_total(self, total: Float[Array, ""]) -> "AbstractLikelihood":
        """The likelihood of rows of counts of a total, over all cells, to which their means sum.

        Where zeros are inflated, those do so without the extra zeros.

        Raises:
            NotImplementedError: a family that is not judged at totals.
        """
        raise NotImplementedError(f"{self.name} is not judged at totals")

    def total_of(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> Float[Array, ""]:
        """The total of a row over all its cells, as its observed ones tell it given these outputs.

        Arguments:
            outputs: what the decoder made of z.
            x: one row, finite also where `mask` is False.
            mask: True where a cell is observed.

        Raises:
            NotImplementedError: a family that is not judged at totals.
        """
        raise NotImplementedError(f"{self.name} is not judged at totals")

    def means_at(
        self,
        outputs: Float[Array, "outputs *data"],
        total: Float[Array, ""],
        mask: Bool[Array, "*data"],
    ) -> Float[Array, "*data"]:
        """The means of Poisson counts, before they are mixed, at which a row of a total is judged.

        Arguments:
            outputs: what the decoder made of z.
            total: of the observed counts of the row.
            mask: True where a cell is observed; means are 0 elsewhere.

        Raises:
            NotImplementedError: a family that is not judged at totals.
        """
        raise NotImplementedError(f"{self.name} is not judged at totals")

    def rates(
        self,
        means: Float[np.ndarray, "N *data"],
        outputs: Float[np.ndarray, "N outputs *data"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "N *data"]:
        """One draw of the rates of Poisson counts of which this family is a mixture, row by row.

        Arguments:
            means: of `means_at`.
            outputs: what the decoder made of z.
            generator: of the draw.

        Raises:
            NotImplementedError: a family that is not judged at totals.
        """
        raise NotImplementedError(f"{self.name} is not judged at totals")

    @abstractmethod
    def __call__(self, outputs: Float[Array, "outputs *data"]) -> Distribution:
        """p(x | outputs) with batch shape `data_shape` and event shape ()."""

    @abstractmethod
    def check(self, x: np.ndarray, *, where: str) -> None:
        """Refuse data outside the support.

        Arguments:
            x: rows, (N, *data_shape); NaN stands for a cell that was not observed and passes.
            where: what the message is about, such as a file or an argument.

        Raises:
            InputError: names the first bad row and cell, counted from 0, what was found there, and
                which likelihood would do.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What JSON holds of the structure.

        `make_likelihood(likelihood.name, shape=data_shape, **likelihood.options())` has the same
        structure; array fields are kept elsewhere.
        """

    def started_at(
        self, x: Shaped[Array, "N *data"], weight: Float[Array, "N *data"] | None = None
    ) -> Start | None:
        """Independent columns with the moments of these rows; None where the family does not say.

        Arguments:
            x: rows inside the support; cells without weight may hold anything finite.
            weight: of each cell, 0 where it was not observed; 1 for all when None.
        """
        return None

    def given(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Distribution:
        """p(x | outputs, what the row says of its own scale), as `__call__`.

        The same as `__call__` except for counts with the option `library`, which are conditioned on
        the row's total over observed cells.
        """
        return self(outputs)

    def of_row(
        self,
        outputs: Float[Array, "outputs *data"],
        x: Shaped[Array, "*data"],
        mask: Bool[Array, "*data"],
    ) -> "AbstractLikelihood":
        """The likelihood of the missing cells of a row, at the scale that its observed ones tell.

        Itself except for counts with the option `library`, whose total over all cells is the one at
        which the observed cells have the shares that the outputs give them.
        """
        return self

    def log_prob(
        self,
        x: Shaped[Array, "*data"],
        outputs: Float[Array, "outputs *data"],
        mask: Bool[Array, "*data"] | None = None,
    ) -> Float[Array, ""]:
        """log p(x | outputs) over the observed cells, in nats; exact.

        Arguments:
            x: one row inside the support (see `check`); cells that are not observed may hold
                anything, NaN included.
            outputs: what the decoder made of z.
            mask: True where a cell is observed; None when all are.

        Returns:
            a scalar.
        """
        if mask is None:
            return jnp.sum(accurate(self.given(outputs, x)).log_prob(self._values(x)))
        # Zero is in the support of every member. Both branches are guarded: the density sees no
        # NaN, and the sum sees no density of a cell that was not observed.
        x = jnp.where(mask, x, jnp.zeros_like(x))
        cells = accurate(self.given(outputs, x, mask)).log_prob(self._values(x))
        return jnp.sum(jnp.where(mask, cells, 0.0))

    def mean(self, outputs: Float[Array, "outputs *data"]) -> Float[Array, "*data"]:
        """E[x | outputs] cell by cell, in units of the data; exact.

        Counts with the option `library` are given at its `library_size`, or 10,000;
        `given(outputs, x).mean` is at the row's own total.
        """
        return jnp.asarray(self(outputs).mean)

    def _values(self, x: Shaped[Array, "*data"]) -> Shaped[Array, "*data"]:
        """A row in the type that the distribution's `log_prob` takes."""
        return x


def refuse_first(bad: np.ndarray, x: np.ndarray, *, where: str, expected: str, remedy: str) -> None:
    """Raise an `InputError` about the first cell that is True in `bad`, if there is one.

    Arguments:
        bad: True at cells to refuse, (N, *data_shape).
        x: the data, of the same shape.
    """
    if not bad.any():
        return
    first = np.unravel_index(int(np.argmax(bad)), bad.shape)
    row, cell = int(first[0]), tuple(int(i) for i in first[1:])
    place = f", cell {cell[0] if len(cell) == 1 else cell}" if cell else ""
    raise InputError(expected, f"{x[first]:g}", remedy, where=f"{where}, row {row}{place}")


def refuse_infinite(x: np.ndarray, *, where: str) -> None:
    """Raise an `InputError` about the first infinite cell; for densities on the whole line."""
    refuse_first(
        np.isinf(x),
        x,
        where=where,
        expected="a finite number in every cell",
        remedy="marking the cell as missing, or a transform of the column that keeps it finite",
    )
