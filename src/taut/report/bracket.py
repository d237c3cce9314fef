"""A bracket of the log-evidence in words: the number to quote, and how far up the truth may lie."""

import math
from collections.abc import Mapping
from typing import Any

from taut.core import Estimate

__all__ = ["nats", "quoted"]


def quoted(content: Mapping[str, Any]) -> str:
    """The number to quote, the ends of the bracket, and why it stopped; `content` as of `to_dict`."""
    lower = Estimate.from_dict(content["lower"])
    number = f"Quote {lower}, by {content['method']}: {content['why']}."
    if content["stopped"] == "exact":
        return number
    if content["upper"] is None:
        ends = "No end above it."
    else:
        width = math.inf if content["width"] is None else content["width"]
        low, high = (
            f"{none if end is None else end:.{_digits(width)}f}"
            for end, none in ((content["low"], -math.inf), (content["high"], math.inf))
        )
        ends = (
            f"Bracket of the mean {low} to {high}, {nats(width)} nats wide, the upper end by "
            f"{content['upper_method']}, {Estimate.from_dict(content['upper']).words}."
        )
    return f"{number} {ends} Stopped: {content['why_stopped']}."


def nats(width: float) -> str:
    """A width with two digits that count."""
    return f"{width:.{_digits(width)}f}" if math.isfinite(width) else "-"


def _digits(width: float) -> int:
    """Digits after the point, so that two of a width are there."""
    return min(max(1 - math.floor(math.log10(width)), 1), 6) if 0 < width < math.inf else 4
