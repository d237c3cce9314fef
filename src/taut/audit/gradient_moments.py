"""Bias and variance of a random gradient from independent repeats, with their errors.

    d_i = g_i - r_i,    i = 1..N independent,    E d = b, the bias,    Cov d = S

    |b|^2  ~  U = (sum_{i != j} d_i . d_j) / (N (N - 1))                               unbiased
    Var U  =  4 b' S b / N + 2 tr S^2 / (N (N - 1))

U is a U-statistic (Hoeffding 1948): a square of an average would be too large by tr S / N.
It may come out negative where there is no bias. References r_i that are exact are all equal; otherwise
each is an average of its own, so that the d_i stay independent. Everything is a function of the Gram
matrix of the d_i, (N, N), whatever the number of parameters.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["GradientMoments", "gradient_moments"]

_SIGNIFICANT = 5.0  # standard errors of the squared bias, as everywhere in the tests


class GradientMoments(NamedTuple):
    """What repeats tell of a gradient in one group of parameters.

    Attributes:
        squared_bias: |E g - reference|^2, unbiased, hence also negative.
        squared_bias_error: its standard error.
        variance: trace of the covariance of g, unbiased.
        variance_error: its standard error.
        squared_norm: |reference|^2, unbiased.
    """

    squared_bias: float
    squared_bias_error: float
    variance: float
    variance_error: float
    squared_norm: float

    @property
    def biased(self) -> bool:
        """True where the squared bias is five standard errors above zero, and above rounding."""
        rounding = (100 * float(np.finfo(np.float32).eps)) ** 2 * abs(self.squared_norm)
        return self.squared_bias > _SIGNIFICANT * self.squared_bias_error + rounding

    @property
    def relative_bias(self) -> float:
        """|E g - reference| / |reference|; 0 where the squared bias came out negative."""
        return math.sqrt(max(self.squared_bias, 0.0) / max(self.squared_norm, 1e-300))

    @property
    def relative_bias_error(self) -> float:
        """Its standard error to first order; where there is none, the bias that one error would be."""
        spread = max(self.squared_bias, self.squared_bias_error)
        if spread == 0:
            return 0.0
        norm = math.sqrt(max(self.squared_norm, 1e-300))
        return self.squared_bias_error / (2 * math.sqrt(spread)) / norm

    @property
    def relative_bias_limit(self) -> float:
        """The largest relative bias within two standard errors of the squared one, or of zero."""
        most = max(self.squared_bias, 0.0) + 2 * self.squared_bias_error
        return math.sqrt(most / max(self.squared_norm, 1e-300))


def gradient_moments(
    gradients: Float[np.ndarray, "N P"], references: Float[np.ndarray, "#N P"]
) -> GradientMoments:
    """Bias and variance of independent gradients against independent references.

    Arguments:
        gradients: one repeat a row, at least four.
        references: one a row of equal mean; a single row where it is exact.
    """
    num = gradients.shape[0]
    differences = np.asarray(gradients, np.float64) - references
    squared_bias, squared_bias_error = _squared_mean(differences)
    distances = np.sum((gradients - gradients.mean(0, dtype=np.float64)) ** 2, axis=1)
    squared_norm = float(np.sum(np.asarray(references[0], np.float64) ** 2))
    if references.shape[0] > 1:
        squared_norm, _ = _squared_mean(np.asarray(references, np.float64))
    return GradientMoments(
        squared_bias=squared_bias,
        squared_bias_error=squared_bias_error,
        variance=float(distances.sum()) / (num - 1),
        variance_error=float(distances.std(ddof=1)) * math.sqrt(num) / (num - 1),
        squared_norm=squared_norm,
    )


def _squared_mean(rows: Float[np.ndarray, "N P"]) -> tuple[float, float]:
    """|E row|^2, unbiased, and its standard error."""
    num = rows.shape[0]
    gram = rows @ rows.T
    value = _off_diagonal_mean(gram)
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    trace_squared = _off_diagonal_mean(centred**2)  # tr S^2, up to a share of 1/N
    row_means = (gram.sum(1) - np.diagonal(gram)) / (num - 1)
    slope = float(np.var(row_means, ddof=1)) - trace_squared / (num - 1)  # b' S b, unbiased
    without_bias = 2 * trace_squared / (num * (num - 1))
    variance = max(4 * slope / num + without_bias, without_bias / 2)
    return value, math.sqrt(variance)


def _off_diagonal_mean(square: Float[np.ndarray, "N N"]) -> float:
    num = square.shape[0]
    return float((square.sum() - np.trace(square)) / (num * (num - 1)))
