"""`Algorithm`: inference as a pair of pure functions over a state of arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from taut.core import AbstractPair, Datum

__all__ = ["Algorithm", "Metrics"]

Metrics = dict[str, Array]


class Algorithm(NamedTuple):
    """How a state is started, moved by one batch, and read.

    Attributes:
        init: () -> state, a NamedTuple of arrays.
        step: (state, batch) -> (state, metrics), pure; metrics are scalars, `bound` among them.
        pair: state -> the model and guide with the state's parameters.
        finish: state -> state at the end of a pass over the data; None where there is nothing to do.
    """

    init: Callable[[], Any]
    step: Callable[[Any, Datum], tuple[Any, Metrics]]
    pair: Callable[[Any], AbstractPair]
    finish: Callable[[Any], Any] | None = None
