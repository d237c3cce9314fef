"""What is predicted of a target, and how good that is on rows whose target is known.

    accuracy    share of rows whose most probable class is theirs
    NLL         -log p(y given x), nats per row; of numbers a density in the target's own unit
    ECE         sum_b n_b / n |accuracy_b - confidence_b| over 15 bins of the largest probability
    RMSE        root of the mean squared error of the mean
    coverage    share of rows within the interval that should hold 90 % of them

ECE is the expected calibration error of Guo, Pleiss, Sun and Weinberger, On calibration of modern neural
networks (2017), section 2; its error over rows, and that of RMSE, are those of 200 bootstrap samples.
ECE is above 0 by chance also where the probabilities are right, the more so the fewer rows there are.
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from taut.core import Estimate

__all__ = [
    "INTERVAL",
    "SCORES",
    "ClassPrediction",
    "NumberPrediction",
    "class_scores",
    "number_scores",
]

INTERVAL = 0.9
"""The share of rows that an interval should hold."""

SCORES = ("accuracy", "target_nll", "ece", "rmse", "coverage")
"""What predictions of either kind are scored by, as estimates name it."""

_WHOLE = re.compile("0|-?[1-9][0-9]*")  # 007 and 7 are two classes
_BINS = 15
_RESAMPLES = 200


class ClassPrediction(NamedTuple):
    """Classes of rows.

    Attributes:
        target: its name.
        classes: its values, in the order of the columns of `probabilities`.
        probabilities: p(y given x), (N, C).
        unseen: cells of a category that the fit has not seen, read as missing.
        boolean: the classes are False and True in their source, not text.
    """

    target: str
    classes: tuple[str, ...]
    probabilities: Float[np.ndarray, "N C"]
    unseen: int = 0
    boolean: bool = False

    @property
    def codes(self) -> Int[np.ndarray, " N"]:
        """The number of the most probable class of each row."""
        return np.argmax(self.probabilities, axis=1)

    @property
    def labels(self) -> Shaped[np.ndarray, " N"]:
        """The most probable class of each row: Booleans, whole numbers where these spell every class, or
        text."""
        if self.boolean:
            return self.codes == 1
        whole = all(_WHOLE.fullmatch(name) for name in self.classes)
        return np.array([int(n) for n in self.classes] if whole else self.classes)[self.codes]

    def select(self, rows: Shaped[np.ndarray, " M"]) -> "ClassPrediction":
        """That of some of the rows."""
        return self._replace(probabilities=self.probabilities[rows])


class NumberPrediction(NamedTuple):
    """Numbers of rows, in the target's own unit.

    Attributes:
        target: its name.
        mean: E[y given x], (N,).
        deviation: standard deviation of y given x.
        low, high: ends of the interval that should hold y with probability .9.
        unseen: as of `ClassPrediction`.
    """

    target: str
    mean: Float[np.ndarray, " N"]
    deviation: Float[np.ndarray, " N"]
    low: Float[np.ndarray, " N"]
    high: Float[np.ndarray, " N"]
    unseen: int = 0

    def select(self, rows: Shaped[np.ndarray, " M"]) -> "NumberPrediction":
        """That of some of the rows."""
        cut = {name: getattr(self, name)[rows] for name in ("mean", "deviation", "low", "high")}
        return self._replace(**cut)


def class_scores(
    probabilities: Float[np.ndarray, "N C"],
    codes: Int[np.ndarray, " N"],
    *,
    index: Int[np.ndarray, " N"],
    drawn: bool,
) -> dict[str, Estimate]:
    """Accuracy, NLL and ECE by the names that estimates have.

    Arguments:
        probabilities: of rows whose class is known.
        codes: their classes.
        index: their numbers in the data set.
        drawn: the probabilities are those of draws, so that other draws give others.
    """
    rows = np.arange(len(codes))
    right = (np.argmax(probabilities, axis=1) == codes).astype(np.float64)
    confidence = np.max(probabilities, axis=1)
    with np.errstate(divide="ignore"):
        nll = -np.log(probabilities[rows, codes])
    return {
        "accuracy": _share(right, index, drawn=drawn),
        "target_nll": _mean(nll, index, drawn=drawn),
        "ece": _bootstrapped(_ece, "of 1", right, confidence, drawn=drawn),
    }  # fmt: skip


def number_scores(
    found: NumberPrediction,
    y: Float[np.ndarray, " N"],
    nll: Float[np.ndarray, " N"],
    *,
    index: Int[np.ndarray, " N"],
    drawn: bool,
    unit: str = "",
) -> dict[str, Estimate]:
    """RMSE, NLL and coverage; arguments as of `class_scores`, the NLL of each row, and the unit of y.

    Where no unit is told, RMSE has the name of the target for one.
    """
    squares = (found.mean - y) ** 2
    inside = ((found.low <= y) & (y <= found.high)).astype(np.float64)
    return {
        "rmse": _bootstrapped(
            lambda own: float(np.sqrt(own.mean())), unit or found.target, squares, drawn=drawn
        ),
        "target_nll": _mean(nll, index, drawn=drawn),
        "coverage": _share(inside, index, drawn=drawn),
    }  # fmt: skip


def _mean(values: np.ndarray, index: np.ndarray, *, drawn: bool) -> Estimate:
    error = math.nan if drawn else 0.0
    return Estimate.from_rows(
        values, side="none" if drawn else "exact", mc_errors=error, index=index
    )  # fmt: skip


def _share(values: np.ndarray, index: np.ndarray, *, drawn: bool) -> Estimate:
    # Ones and zeros have no rows that are far from the others.
    return Estimate(
        value=float(values.mean()), side="none" if drawn else "exact",
        mc_error=math.nan if drawn else 0.0, data_error=_error(values), count=len(values), unit="of 1",
        values=values, index=index,
    )  # fmt: skip


def _error(values: Float[np.ndarray, " N"]) -> float:
    """Of a share over other rows; where all are alike, as if half a row more were of the other kind."""
    count = len(values)
    if count < 2:
        return math.nan
    if (values == values[0]).all():
        other = 0.5 / (count + 1)
        return math.sqrt(other * (1 - other) / count)
    return float(values.std(ddof=1) / math.sqrt(count))


def _bootstrapped(
    statistic: Callable[..., float], unit: str, *columns: np.ndarray, drawn: bool
) -> Estimate:
    """A statistic of rows that is no mean over them, with its error over other rows.

    Rows are resampled in the order of their values, so that one set of rows has one error.
    """
    order = np.lexsort(columns)
    columns, count = tuple(column[order] for column in columns), len(order)
    rng = np.random.default_rng(0)
    places = (rng.integers(0, count, count) for _ in range(_RESAMPLES))
    others = [statistic(*(column[at] for column in columns)) for at in places]
    error = float(np.std(others, ddof=1)) if count > 1 else math.nan
    return Estimate(
        value=statistic(*columns), side="none", mc_error=math.nan if drawn else 0.0,
        data_error=error, count=count, unit=unit,
    )  # fmt: skip


def _ece(right: np.ndarray, confidence: np.ndarray) -> float:
    bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(bins, right - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))
