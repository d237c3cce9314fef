"""Columns of dates as numbers: days since the first, or hours, minutes, seconds where they have a time.

    x = (t - origin) / step        t in seconds since the beginning of 1970

The step is the longest of which all dates are whole numbers away from the first. A type that does not
hold x has the number nearest to it of the same day.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from taut.data.sources.dates import date_text

__all__ = ["STEPS", "dated_text", "held_dates", "step_of", "time_lost"]

_DAY = 86400.0
STEPS = {"days": _DAY, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def step_of(seconds: Float[np.ndarray, " N"]) -> str:
    """The unit in which dates are counted from the first of them."""
    away = seconds - seconds.min()
    return next((unit for unit, step in STEPS.items() if not (away % step).any()), "seconds")


def held_dates(
    x: Float[np.ndarray, " N"], dtype: str, *, unit: str, form: str, origin: float
) -> Float[np.ndarray, " N"]:
    """Numbers of dates in a type of fewer digits, each of the same day."""

    def day(numbers: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.floor(_shown(numbers, form) * (STEPS[unit] / _DAY) + origin / _DAY)

    with np.errstate(over="ignore"):
        held = x.astype(dtype)
    away = day(held.astype(np.float64)) - day(x.astype(np.float64))
    moved = np.nextafter(held, np.where(away > 0, -np.inf, np.inf).astype(dtype))
    return np.where(np.abs(away) > 0, moved, held)


def time_lost(x: Float[np.ndarray, " N"], *, unit: str, form: str) -> float:
    """By how much, in the unit, the dates of a column may differ from those that their type holds.

    0 where it holds all that their form tells: whole units, or microseconds.
    """
    there = np.abs(x[np.isfinite(x)])
    apart = float(np.spacing(there.max())) if len(there) else 0.0
    finest = 1e-6 / STEPS[unit] if "%f" in form else 1.0
    return apart if apart > finest else 0.0


def dated_text(x: float, *, unit: str, form: str, origin: float) -> str:
    """The date of a number of this unit, rounded to it where the form tells no parts of a second."""
    return date_text(float(_shown(x, form)) * STEPS[unit] + origin, form)


def _shown(x: Any, form: str) -> Any:
    """What a form tells of a number: whole units, where it has no parts of a second."""
    return x if "%f" in form else np.rint(x)
