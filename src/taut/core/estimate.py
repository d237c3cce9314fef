"""`Estimate`: a number in nats with its side and two standard errors.

For per-row values v_i with Monte Carlo standard errors s_i, i = 1..N, the mean over rows has

    mc_error^2   = sum_i s_i^2 / N^2                       (other draws, same rows)
    data_error^2 = max(var(v) - mean(s^2), 0) / N          (other rows, infinitely many draws)

by the law of total variance; the error of the number under both is the root of the sum of squares.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from taut.core.far_positions import far_positions
from taut.core.json_numbers import number_or_word
from taut.errors import InputError

__all__ = [
    "CALIBRATED",
    "FREE_CONSTANT",
    "NO_BOUND",
    "ROW_FLAGS",
    "Estimate",
    "Side",
    "paired_difference",
]

NO_BOUND = "no bound"
"""Flag of a density that its family can raise without end on the rows it was fitted to."""
CALIBRATED = "calibrated on simulated rows, not a bound"
"""Flag of an upper end that holds as far as rows are like those that the model makes."""
FREE_CONSTANT = "free constant"
"""Flag of a log-evidence that another scale of an unnormalised prior or log-joint would shift."""

Side = Literal["exact", "unbiased", "lower", "upper", "none"]
_ROUNDING = 1e-6  # errors up to this size do not decide how many digits are printed
_SAY_THE_SIDE = (NO_BOUND, CALIBRATED)
# Flags that follow from the per-row values.
ROW_FLAGS = frozenset({"moved by few rows", "not finite"})
_SIDE_NAMES = {
    "exact": "exact",
    "unbiased": "unbiased",
    "lower": "lower bound",
    "upper": "upper bound",
    "none": "neither bound",
}


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number with its unit, its side and its two errors.

    Attributes:
        value: the number.
        side: `exact`; `unbiased` in expectation over draws; `lower` or `upper` bound in expectation
            over draws; `none` where it bounds nothing.
        mc_error: standard error over other draws; 0 where nothing was drawn, NaN where unknown, as it is
            wherever the estimate is `unreliable`.
        data_error: standard error over other rows; NaN where there is one row only.
        count: number of rows that were averaged.
        unit: the unit, in words.
        flags: what a reader must know before using the number: `support not covered`, `subsampled`,
            `unreliable`, `no bound`, `calibrated on simulated rows, not a bound`, `free constant`,
            `training rows among them`;
            `moved by few rows` (see `far_rows`), `not finite` for some row.
        values: the per-row values, (count,), or None.
        index: the rows' numbers in their data set, (count,), or None.
    """

    value: float
    side: Side
    mc_error: float = 0.0
    data_error: float = math.nan
    count: int = 1
    unit: str = "nats per row"
    flags: frozenset[str] = frozenset()
    values: np.ndarray | None = field(default=None, repr=False)
    index: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        if self.side not in get_args(Side):
            raise InputError(
                f"a side in {get_args(Side)}", repr(self.side), "one of these", where="side"
            )
        if "unreliable" in self.flags and self.side != "exact":
            # A small number would be taken for the error.
            object.__setattr__(self, "mc_error", math.nan)

    @classmethod
    def from_rows(
        cls,
        values: Any,
        *,
        side: Side,
        mc_errors: Any = 0.0,
        index: Any = None,
        unit: str = "nats per row",
        flags: Iterable[str] = (),
    ) -> "Estimate":
        """The mean over rows.

        Arguments:
            values: per-row values, (N,); -inf allowed, and then the mean is -inf with NaN errors.
            side: what each value is for its row.
            mc_errors: per-row Monte Carlo standard errors, (N,) or scalar; NaN where unknown.
            index: row numbers, (N,).
            unit: unit of the mean.
            flags: see the class.
        """
        values = np.asarray(values, dtype=np.float64).reshape(-1)
        if values.size == 0:
            raise InputError(
                "at least one row", "none", "a split that is not empty", where="values"
            )
        variances = np.broadcast_to(np.asarray(mc_errors, dtype=np.float64), values.shape) ** 2
        count = values.size
        mc_error = float(np.sqrt(variances.sum()) / count)
        if count > 1 and np.isfinite(values).all():
            noise = variances.mean() if np.isfinite(variances).all() else 0.0
            data_error = math.sqrt(max(values.var(ddof=1) - noise, 0.0) / count)
        else:
            data_error = math.nan
        return cls(
            value=_mean(values),
            side=side,
            mc_error=mc_error,
            data_error=data_error,
            count=count,
            unit=unit,
            flags=frozenset(flags) | _row_flags(values),
            values=values,
            index=None if index is None else np.asarray(index).reshape(-1),
        )

    def scaled(self, factor: float, *, unit: str) -> "Estimate":
        """The same estimate in another unit; a negative factor turns a lower bound into an upper."""
        swapped: dict[Side, Side] = {"lower": "upper", "upper": "lower"}
        side = swapped.get(self.side, self.side) if factor < 0 else self.side
        return Estimate(
            value=self.value * factor,
            side=side,
            mc_error=self.mc_error * abs(factor),
            data_error=self.data_error * abs(factor),
            count=self.count,
            unit=unit,
            flags=self.flags,
            values=None if self.values is None else self.values * factor,
            index=self.index,
        )

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds of it; per-row values are kept beside, as arrays."""
        return {
            "value": number_or_word(self.value),
            "side": self.side,
            "mc_error": number_or_word(self.mc_error),
            "data_error": number_or_word(self.data_error),
            "count": self.count,
            "unit": self.unit,
            "flags": sorted(self.flags),
        }

    @classmethod
    def from_dict(
        cls, content: dict[str, Any], *, values: Any = None, index: Any = None
    ) -> "Estimate":
        """The inverse of `to_dict`."""
        return cls(
            value=float(content["value"]),
            side=content["side"],
            mc_error=float(content["mc_error"]),
            data_error=float(content["data_error"]),
            count=content["count"],
            unit=content["unit"],
            flags=frozenset(content["flags"]),
            values=values,
            index=index,
        )

    def without_bound(self) -> "Estimate":
        """The same number as that of a density without a bound, which a floor or a step has decided."""
        return replace(self.flagged(NO_BOUND), side="none")

    def flagged(self, flag: str) -> "Estimate":
        """The same number with another flag."""
        return replace(self, flags=self.flags | {flag})

    @property
    def side_name(self) -> str:
        """The side in words; those of the flag where one says why it is none."""
        named = [flag for flag in _SAY_THE_SIDE if flag in self.flags]
        return named[0] if named else _SIDE_NAMES[self.side]

    @property
    def words(self) -> str:
        """The side and the flags."""
        return ", ".join([self.side_name, *sorted(self.flags - {self.side_name})])

    def rounded(self) -> tuple[str, str, str]:
        """Value, error over draws and error over rows, with one digit of the smaller error.

        An error that is NaN is `unknown`; only an error that is zero is printed as zero.
        """
        digits = _decimals(self.value, self.mc_error, self.data_error)
        value = f"{self.value:.{digits}f}"
        return value, _error(self.mc_error, digits), _error(self.data_error, digits)

    def __str__(self) -> str:
        value, draws, rows = self.rounded()
        parts = [value]
        if self.mc_error != 0.0:
            parts.append(f"± {draws} (draws)")
        if not (math.isnan(self.data_error) and self.count == 1):
            parts.append(f"± {rows} (rows)")
        return f"{' '.join(parts)} {self.unit}, {self.words}"


def paired_difference(first: Estimate, second: Estimate) -> Estimate:
    """The mean of `first - second` over the rows that both hold, with the error of the difference.

    The draws of the two estimates are independent, so their Monte Carlo errors add in squares; the
    error over rows is that of the per-row differences, which is smaller than either's own when easy
    rows are easy for both.

    Returns:
        an Estimate whose side is `exact` or `unbiased` when both sides allow it, else `none`: the
        difference of two bounds bounds nothing.
    """
    if first.values is None or second.values is None or first.unit != second.unit:
        raise InputError(
            "two estimates with per-row values in one unit",
            f"{first.unit} and {second.unit}, values "
            + " and ".join("kept" if e.values is not None else "missing" for e in (first, second)),
            "estimates of the same quantity, made by taut",
            where="compare",
        )
    same_rows = first.count == second.count and (
        first.index is None or second.index is None or np.array_equal(first.index, second.index)
    )
    if not same_rows:
        raise InputError(
            "the same rows on both sides",
            f"{first.count} and {second.count} rows that differ",
            "evaluating both on one split of one data set",
            where="compare",
        )
    sides = {first.side, second.side}
    side: Side = (
        "exact" if sides == {"exact"} else "unbiased" if sides <= {"exact", "unbiased"} else "none"
    )
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which a flag tells
        difference = first.values - second.values
    mc_error = math.hypot(first.mc_error, second.mc_error)
    data_error = math.nan
    if first.count > 1 and np.isfinite(difference).all():
        noise = 0.0 if math.isnan(mc_error) else mc_error**2
        data_error = math.sqrt(max(difference.var(ddof=1) / first.count - noise, 0.0))
    return Estimate(
        value=_mean(difference),
        side=side,
        mc_error=mc_error,
        data_error=data_error,
        count=first.count,
        unit=first.unit,
        flags=((first.flags | second.flags) - ROW_FLAGS) | _row_flags(difference),
        values=difference,
        index=first.index,
    )


def _decimals(value: float, *errors: float) -> int:
    """Digits after the point: one of the smallest error that is more than rounding."""
    finite = [e for e in errors if math.isfinite(e) and e > _ROUNDING]
    if not math.isfinite(value):
        return 0
    if not finite:
        return 4
    return min(max(-math.floor(math.log10(min(finite))), 0), 6)


def _row_flags(values: np.ndarray) -> frozenset[str]:
    """What the rows' values say of their mean."""
    if not np.isfinite(values).all():
        return frozenset({"not finite"})
    return frozenset({"moved by few rows"} if far_positions(values).size else ())


def _mean(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the flag tells
        return float(values.mean())


def _error(error: float, digits: int) -> str:
    if math.isnan(error):
        return "unknown"
    return f"{error:.0e}" if 0 < error <= _ROUNDING else f"{error:.{digits}f}"
