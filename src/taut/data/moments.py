"""Moments of columns: mean, standard deviation and extremes, in float64, of rows that may come in parts.

    mean        (1/N) sum_n x_n
    variance    (1/N) sum_n (x_n - mean)^2

over the N rows whose cell is observed; NaN stands for one that is not.

A part's are computed in two passes over it. Two sets of n and m rows with means a, b and sums of squares
about them S, T make one set with

    mean      a + d m / (n + m)                    d = b - a
    squares   S + T + d^2 n m / (n + m)

so that the spread of numbers far from zero is not lost in the difference of two large sums.

Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American
Statistician 37 (1983), equations 2.1.
"""

import numpy as np
from jaxtyping import Bool, Float, Shaped

__all__ = ["ColumnMoments", "mean_and_variance"]


class ColumnMoments:
    """Mean, spread and extremes of each column, or of all cells of a row together.

    Arguments:
        columns: D, the cells of a row, each a column; None for one column of all cells (D = 1), as of
            images, whose pixels share a unit.
        dtype: the type that the values will be held in, whose rounding is measured.

    Attributes:
        count: rows taken in, or cells where they are one column.
        counts: those of each column that are observed, or the sum of their weights.
        mean: of them; 0 where there is none.
        low, high: their extremes; inf and -inf where there is none.
        rounding: the largest error of the type.
    """

    def __init__(self, columns: int | None, dtype: str = "float64"):
        width = 1 if columns is None else columns
        self._together, self._dtype = columns is None, dtype
        self.count = 0
        self.counts: Shaped[np.ndarray, " D"] = np.zeros(width, np.int64)
        self.mean: Float[np.ndarray, " D"] = np.zeros(width)
        self._squares = np.zeros(width)
        self.low: Float[np.ndarray, " D"] = np.full(width, np.inf)
        self.high: Float[np.ndarray, " D"] = np.full(width, -np.inf)
        self.rounding: Float[np.ndarray, " D"] = np.zeros(width)

    def add(
        self, values: Shaped[np.ndarray, "N ..."], weight: Float[np.ndarray, " N"] | None = None
    ) -> "ColumnMoments":
        """Take in some rows, whose observed cells are finite; the moments themselves, for one part.

        Arguments:
            values: the rows.
            weight: how often each of them counts; once when None. A column is a cell of a row then.
        """
        if not len(values):
            return self
        cells = values.reshape(-1, 1) if self._together else values.reshape(len(values), -1)
        exact = cells.astype(np.float64)
        if values.dtype != self._dtype:
            with np.errstate(over="ignore"):
                error = np.abs(cells.astype(self._dtype) - exact)
            self.rounding = np.fmax(self.rounding, np.fmax.reduce(error))
        self.low = np.fmin(self.low, np.fmin.reduce(exact))
        self.high = np.fmax(self.high, np.fmax.reduce(exact))
        holes = np.isnan(exact)
        if holes.any():
            number = _summed(~holes, weight)
            mean = _summed(np.where(holes, 0.0, exact), weight) / np.where(number > 0, number, 1)
            exact = np.where(holes, mean, exact)
        elif weight is None:
            number, mean = np.full(len(self.mean), len(cells)), exact.mean(axis=0)
        else:
            number = np.full(len(self.mean), weight.sum())
            mean = weight @ exact / number
        exact -= mean
        apart, total = mean - self.mean, self.counts + number
        divisor = np.where(total > 0, total, 1)
        self._squares += _summed(np.square(exact, out=exact), weight)
        self._squares += apart**2 * (self.counts * number / divisor)
        self.mean = self.mean + apart * (number / divisor)
        self.count, self.counts = self.count + len(cells), total
        return self

    @property
    def varies(self) -> Bool[np.ndarray, " D"]:
        """True for columns that are not constant, and for those without an observed cell."""
        return self.low != self.high

    @property
    def variance(self) -> Float[np.ndarray, " D"]:
        """Variance, dividing by N; 0 for a column without an observed cell."""
        return self._squares / np.where(self.counts > 0, self.counts, 1)

    @property
    def deviation(self) -> Float[np.ndarray, " D"]:
        """Standard deviation, dividing by N."""
        return np.sqrt(self.variance)


def mean_and_variance(
    values: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"] | None = None
) -> tuple[float, float]:
    """Of the observed values of one column, each of which counts as often as its weight says."""
    if weight is None:
        return float(values.mean()), float(values.var())
    mean = float(weight @ values / weight.sum())
    return mean, float(weight @ (values - mean) ** 2 / weight.sum())


def _summed(
    numbers: Shaped[np.ndarray, "N D"], weight: Float[np.ndarray, " N"] | None
) -> Shaped[np.ndarray, " D"]:
    return numbers.sum(axis=0) if weight is None else weight @ numbers
