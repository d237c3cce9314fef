"""Moments of columns: mean, standard deviation and extremes, in float64, of rows that may come in parts.

    mean        (1/N) sum_n x_n
    variance    (1/N) sum_n (x_n - mean)^2

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

__all__ = ["ColumnMoments"]


class ColumnMoments:
    """Mean, spread and extremes of each column, or of all cells of a row together.

    Arguments:
        columns: D, the cells of a row, each a column; None for one column of all cells (D = 1), as of
            images, whose pixels share a unit.
        dtype: the type that the values will be held in, whose rounding is measured.
    """

    def __init__(self, columns: int | None, dtype: str = "float64"):
        width = 1 if columns is None else columns
        self._together, self._dtype = columns is None, dtype
        self.count = 0
        self.mean: Float[np.ndarray, " D"] = np.zeros(width)
        self._squares = np.zeros(width)
        self.low: Float[np.ndarray, " D"] = np.full(width, np.inf)
        self.high: Float[np.ndarray, " D"] = np.full(width, -np.inf)
        self.rounding: Float[np.ndarray, " D"] = np.zeros(width)

    def add(self, values: Shaped[np.ndarray, "N ..."]) -> "ColumnMoments":
        """Take in some rows, all of whose cells are finite; the moments themselves, for one part."""
        cells = values.reshape(-1, 1) if self._together else values.reshape(len(values), -1)
        if not len(cells):
            return self
        exact = cells.astype(np.float64)
        if values.dtype != self._dtype:
            with np.errstate(over="ignore"):
                error = np.abs(cells.astype(self._dtype) - exact).max(axis=0)
            self.rounding = np.maximum(self.rounding, error)
        self.low = np.minimum(self.low, exact.min(axis=0))
        self.high = np.maximum(self.high, exact.max(axis=0))
        mean = exact.mean(axis=0)
        exact -= mean
        apart, total = mean - self.mean, self.count + len(cells)
        self._squares += np.square(exact, out=exact).sum(axis=0)
        self._squares += apart**2 * (self.count * len(cells) / total)
        self.mean = self.mean + apart * (len(cells) / total)
        self.count = total
        return self

    @property
    def varies(self) -> Bool[np.ndarray, " D"]:
        """True for columns that are not constant."""
        return self.low != self.high

    @property
    def variance(self) -> Float[np.ndarray, " D"]:
        """Variance, dividing by N."""
        return self._squares / self.count

    @property
    def deviation(self) -> Float[np.ndarray, " D"]:
        """Standard deviation, dividing by N."""
        return np.sqrt(self.variance)
