"""What a climb still promises, told from windows that grow with it.

Let f_s be the bound after s of S stages. A plateau that lasts half as long as the climb before it is a
third of the whole, so no shorter window tells an end from a rest:

    G = f_S - f_a,   a = 2/3 S            G' = f_a - f_b,   b = 2/3 a

If what is left falls as s^-p, each window gains r = (3/2)^p times as much as the next one, and

    left = G / (r - 1) = G^2 / (G' - G),

Aitken's extrapolation on a geometric grid. An exponential leaves less; a power of s + c leaves more, as
its r still grows, and three times as much is allowed for. The rest is taken for no less than G, and for
no more than at p = 0.4, which is all that is known where G and G' are noise: a climb slower than that
may be ended early.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["gain_with_error", "remaining_gain"]

_BEFORE = 2 / 3  # of the stages lie before the window
_MOST = 1 / (_BEFORE**-0.4 - 1)  # left / G at p = 0.4
_ALLOWED = 3.0


def remaining_gain(bounds: Sequence[Float[np.ndarray, " R"]], *, errors: float) -> float:
    """What a climb will still gain, nats; infinity where a bound at the ends of a window is not finite.

    Arguments:
        bounds: of the best guide at the start and after each stage, on R common sets of draws; nats.
        errors: standard errors that are added to G.
    """
    last = len(bounds) - 1
    first = int(_BEFORE * last)
    gain, error = gain_with_error(bounds[last], bounds[first])
    before, _ = gain_with_error(bounds[first], bounds[int(_BEFORE * first)])
    most = max(gain, 0.0) + errors * error if np.isfinite(error) else np.inf
    if not before > most:
        return _MOST * most
    return min(_MOST * most, max(most, _ALLOWED * most**2 / (before - most)))


def gain_with_error(
    after: Float[np.ndarray, " R"], before: Float[np.ndarray, " R"]
) -> tuple[float, float]:
    """Mean and standard error of paired differences, nats; +-inf with an infinite error where one is."""
    if not np.isfinite(after).all():
        return -np.inf, np.inf
    if not np.isfinite(before).all():
        return np.inf, np.inf
    return float((after - before).mean()), float(np.std(after - before, ddof=1) / len(after) ** 0.5)
