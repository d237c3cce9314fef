"""Numbers in JSON, which has neither infinities nor NaN."""

import math

__all__ = ["finite_or_none", "number_or_word"]


def number_or_word(value: float) -> float | str:
    """The number itself; `inf`, `-inf` or `nan` as a word, which `float` reads back."""
    return value if math.isfinite(value) else str(float(value))


def finite_or_none(value: float) -> float | None:
    """The number itself; None for one that is not finite."""
    return value if math.isfinite(value) else None
