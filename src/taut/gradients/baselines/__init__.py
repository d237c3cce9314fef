"""Baselines: what is subtracted from a learning signal, known before its draw."""

from typing import Any

from taut.core import chosen
from taut.gradients.baselines.abstract import AbstractBaseline, Centering
from taut.gradients.baselines.moving_average import MovingAverage
from taut.gradients.baselines.network import NetworkBaseline

__all__ = [
    "BASELINES",
    "AbstractBaseline",
    "Centering",
    "MovingAverage",
    "NetworkBaseline",
    "baseline_of",
]

BASELINES: dict[str, type[AbstractBaseline]] = {b.name: b for b in (MovingAverage, NetworkBaseline)}


def baseline_of(content: Any) -> AbstractBaseline | None:
    """A baseline from its plain value or its name; None for `none`.

    Raises:
        InputError: no such baseline.
    """
    if content is None or content == "none":
        return None
    return chosen({**BASELINES, "none": None}, content, "baseline")
