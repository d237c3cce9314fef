"""L-BFGS ascent of a smooth function of a vector, on the host.

    x <- x + t p,       p = B grad f(x),    B from the last m pairs of moves and changes of gradients

t satisfies the weak Wolfe conditions, found by bracketing and bisection. The decrement grad f . p / 2
is what a full step promises; the method stops when two in a row promise less than the tolerance,
since the first B after a start knows no scale.

SciPy's L-BFGS-B does not serve: it returns from the first trial point where f is -inf, and calls that
converged; here such a point shortens the step.

Sources: Nocedal and Wright 2006, algorithms 7.4 and 7.5; Lewis and Overton 2013, algorithm 4.6.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from taut.core.optimum import Optimum

__all__ = ["lbfgs"]

_PAIRS = 20
_RISE, _SLOPE = 1e-4, 0.9  # of the Wolfe conditions
_TRIES = 30  # evaluations along one direction
_FIRST = 0.1  # length of the first step, in units of x


class _Point(NamedTuple):
    x: np.ndarray
    value: float
    gradient: np.ndarray


def lbfgs(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: Float[np.ndarray, " n"],
    *,
    tolerance: float,
    max_steps: int,
) -> Optimum:
    """Maximise from a start.

    Arguments:
        function: from x to f and its gradient; f is -inf where it cannot be used.
        start: x with a finite f; in units in which f varies about equally with each entry.
        tolerance: of the decrement, in units of f.
        max_steps: evaluations at most.

    Returns:
        the optimum; converged if the decrement fell below the tolerance.
    """
    here = _Point(start, *function(start))
    first, steps, quiet = here.value, 1, 0
    pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_PAIRS)
    while np.isfinite(here.value) and steps < max_steps:
        along = _direction(here.gradient, pairs)
        slope = float(along @ here.gradient)
        quiet = quiet + 1 if 0.5 * slope < tolerance and (pairs or slope == 0) else 0
        if quiet == 2 or slope == 0:
            return Optimum(here.x, first, here.value, steps, True)
        there, tries = _searched(function, here, along, slope)
        steps += tries
        if there is None:
            break
        move, change = there.x - here.x, here.gradient - there.gradient
        if move @ change > 1e-12 * np.linalg.norm(move) * np.linalg.norm(change):
            pairs.append((move, change))
        here = there
    return Optimum(here.x, first, here.value, steps, False)


def _direction(gradient: np.ndarray, pairs: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """B grad f, by two passes over the pairs."""
    if not pairs:
        return gradient * (_FIRST / max(np.linalg.norm(gradient), 1e-300))
    out, weights = gradient.copy(), []
    for move, change in reversed(pairs):
        weights.append((move @ out) / (move @ change))
        out -= weights[-1] * change
    move, change = pairs[-1]
    out *= (move @ change) / (change @ change)
    for (move, change), weight in zip(pairs, reversed(weights), strict=True):
        out += (weight - (change @ out) / (move @ change)) * move
    return out


def _searched(
    function: Callable, here: _Point, along: np.ndarray, slope: float
) -> tuple[_Point | None, int]:
    """The point that satisfies the weak Wolfe conditions, or the highest that rises; and the tries."""
    low, high, length, best = 0.0, np.inf, 1.0, None
    for tries in range(1, _TRIES + 1):
        x = here.x + length * along
        there = _Point(x, *function(x))
        rises = there.value >= here.value + _RISE * length * slope
        if not rises:
            high = length
        else:
            if best is None or there.value >= best.value:
                best = there
            if there.gradient @ along <= _SLOPE * slope:
                return there, tries
            low = length
        length = (low + high) / 2 if np.isfinite(high) else 2 * length
    return best, _TRIES
