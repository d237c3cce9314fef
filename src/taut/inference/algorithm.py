"""`Algorithm`: inference as a pair of pure functions over a state of arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from taut.core import AbstractPair, Datum

__all__ = ["Algorithm", "Inspection", "Metrics"]

Metrics = dict[str, Array]


class Inspection(NamedTuple):
    """What a step would compute from each row of its batch; for finding where a number breaks.

    Attributes:
        terms: the terms of the log-weights, each (B, K) or (B, K, G), nats.
        gradient_norm: Euclidean norm of the gradient of each row's surrogate, (B,).
    """

    terms: dict[str, Array]
    gradient_norm: Float[Array, " B"]


class Algorithm(NamedTuple):
    """How a state is started, moved by one batch, and read.

    Attributes:
        init: () -> state, a NamedTuple of arrays.
        step: (state, batch) -> (state, metrics), pure; metrics are scalars, `bound` among them.
        pair: state -> the model and guide with the state's parameters.
        finish: state -> state at the end of a pass over the data; None where there is nothing to do.
        rescale: (state, factor) -> state whose later updates are multiplied by the factor; None
            where no step size is involved.
        inspect: (state, batch) -> `Inspection` with the very draws of the next step; None where
            there is none.
    """

    init: Callable[[], Any]
    step: Callable[[Any, Datum], tuple[Any, Metrics]]
    pair: Callable[[Any], AbstractPair]
    finish: Callable[[Any], Any] | None = None
    rescale: Callable[[Any, float], Any] | None = None
    inspect: Callable[[Any, Datum], Inspection] | None = None
