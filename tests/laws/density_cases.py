"""Every density with where it is tried, and its exact value in decimal arithmetic."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from jaxtyping import Array

from taut.distributions import accurate

__all__ = ["Density", "of"]


class Density(NamedTuple):
    """A density under the law.

    Attributes:
        log_prob: of a value and parameters, by the library; arrays.
        exact: the same of decimal numbers.
        points: arguments, each (x, *parameters), as numbers that float32 holds to its precision.
        smooth: which of the arguments are differentiated: 0 is x.
        double: whether float64 is under the law beside float32.
    """

    log_prob: Callable[..., Array]
    exact: Callable[..., Decimal]
    points: Sequence[tuple[float, ...]]
    smooth: tuple[int, ...]


def of(
    make: Callable[..., Any],
    exact: Callable[..., Decimal],
    points: Sequence[tuple[float, ...]],
    smooth: tuple[int, ...] | None = None,
) -> Density:
    """The density of a NumPyro distribution; differentiated in its parameters where nothing is said."""
    smooth = tuple(range(1, len(points[0]))) if smooth is None else smooth
    return Density(lambda x, *p: accurate(make(*p)).log_prob(x), exact, points, smooth)
