"""What a skeleton is: a model, its guide, and the log-evidence by quadrature or enumeration."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from known_models import grid, log_sum, trapezoid

from taut.core import (
    AbstractPair,
    Datum,
)


class Skeleton(NamedTuple):
    """A pair, a batch of data, and what is known about them by hand.

    Attributes:
        pair: all parameters; every leaf is an array.
        data: a batch of three rows.
        log_p: log p(x, z) of (pair, datum, z), by hand; nats.
        log_q: what is subtracted from it in log w, by hand.
        log_evidence: log p(x) of (pair, datum), by hand; None where there is only a minibatch.
        enters: for each leaf of the pair, the slots through which it enters log w and the masses.
    """

    pair: AbstractPair
    data: Datum
    log_p: Callable[[Any, Datum, Any], Any]
    log_q: Callable[[Any, Datum, Any], Any]
    log_evidence: Callable[[Any, Datum], float] | None
    enters: dict[str, set[str]]


def integral(log_density: Callable[[np.ndarray], np.ndarray], dims: int) -> float:
    """log of the integral of exp(log_density) over [-10, 10]^dims, for nodes (n, dims)."""
    nodes, weights = grid(*trapezoid(-10.0, 10.0, 0.1), dims)
    return log_sum(log_density(nodes), weights=weights)


# A variational autoencoder: two Gaussian latents, three pixels, the KL in closed form per latent.
