"""Columns of dates as numbers: days since the first, or hours, minutes, seconds where they have a time.

    x = (t - origin) / step        t in seconds since the beginning of 1970

The step is the longest of which all dates are whole numbers away from the first.
"""

import numpy as np
from jaxtyping import Float

from taut.data.sources.dates import date_text

__all__ = ["STEPS", "dated_text", "step_of"]

STEPS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def step_of(seconds: Float[np.ndarray, " N"]) -> str:
    """The unit in which dates are counted from the first of them."""
    away = seconds - seconds.min()
    return next((unit for unit, step in STEPS.items() if not (away % step).any()), "seconds")


def dated_text(x: float, *, unit: str, form: str, origin: float) -> str:
    """The date of a number of this unit, rounded to it where the form tells no parts of a second."""
    whole = x if "%f" in form else np.rint(x)
    return date_text(float(whole) * STEPS[unit] + origin, form)
