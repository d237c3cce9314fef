"""`accurate`: a NumPyro distribution whose log-density is evaluated by a form that holds.

NumPyro's own forms lose their digits, or end in a constant or an infinity, where a tail probability
underflows and where large log Gammas cancel. The rules replace them, by the class that defines the
density; what has no rule is NumPyro's. Distributions inside others (independent, expanded, masked,
transformed, zero-inflated, mixed) are replaced where they stand, so that NumPyro's own formula of the
outer one is kept.
"""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

from jaxtyping import Array
from numpyro.distributions import Distribution

from taut.distributions.accurate.bounded import BOUNDED
from taut.distributions.accurate.continuous import CONTINUOUS
from taut.distributions.accurate.counts import COUNTS

__all__ = ["RULES", "accurate"]

RULES: dict[type[Distribution], Callable[[Any, Any], Array]] = {**COUNTS, **CONTINUOUS, **BOUNDED}

_Given = TypeVar("_Given")


def accurate(distribution: _Given) -> _Given:
    """The same distribution, whose `log_prob` holds; anything else as it is.

    Arguments:
        distribution: of NumPyro. A subclass with a `log_prob` of its own keeps it.

    Returns:
        a copy, to be evaluated at once: what JAX takes apart and puts together again is NumPyro's.
    """
    if not isinstance(distribution, Distribution):
        return distribution
    made = copy.copy(distribution)
    for name, part in vars(distribution).items():
        if isinstance(part, Distribution):
            setattr(made, name, accurate(part))
        elif isinstance(part, list) and any(isinstance(p, Distribution) for p in part):
            setattr(made, name, [accurate(p) for p in part])
    rule = _rule(type(distribution))
    if rule is not None:
        inner = copy.copy(made)
        made.log_prob = lambda value, intermediates=None: rule(inner, value)
    return made


def _rule(cls: type[Distribution]) -> Callable[[Any, Any], Array] | None:
    """The rule of the class that defines the density of `cls`, if there is one."""
    for ancestor in cls.__mro__:
        if ancestor in RULES:
            return RULES[ancestor]
        if "log_prob" in vars(ancestor):
            return None
    return None
