"""Bounds, and ways to estimate the evidence of a fit, by name or with options of their own."""

from dataclasses import replace
from typing import Any

from jaxtyping import PRNGKeyArray

from taut.bounds import BOUNDS, AbstractBound
from taut.core import AbstractPair, Datum, InputError, nearest
from taut.evidence import (
    EVIDENCE,
    AbstractMethod,
    Evidence,
    Importance,
    MonteCarlo,
    beside_the_prior,
)
from taut.evidence.measuring import importance_evidence
from taut.inference import Refined, RefinedAnnealed, RefinedQuadrature

__all__ = ["AUTO", "METHODS", "bound_of", "measured_by", "method_of"]

METHODS: dict[str, type[AbstractMethod]] = EVIDENCE | {
    method.name: method for method in (Refined, RefinedAnnealed, RefinedQuadrature)
}

AUTO = "auto"  # as many of them as it takes

_NUM_PARTICLES = {Importance.name: 1000, MonteCarlo.name: 1000}  # else the method's own


def bound_of(bound: AbstractBound | str) -> AbstractBound:
    """A bound that is given, or the one of a name.

    Raises:
        InputError: there is none of that name.
    """
    if isinstance(bound, AbstractBound):
        return bound
    if bound not in BOUNDS:
        raise InputError(
            f"one of {', '.join(BOUNDS)}", repr(bound), nearest(bound, BOUNDS), where="bound"
        )
    return BOUNDS[bound]()


def method_of(method: AbstractMethod | str, num_particles: int | None) -> AbstractMethod:
    """A method that is given, or the one of a name.

    Arguments:
        method: a name of `METHODS`, or a method.
        num_particles: draws per row; None for the method's own number.

    Raises:
        InputError: there is none of that name.
    """
    if isinstance(method, AbstractMethod):
        found: Any = method
    elif isinstance(method, str) and method in METHODS:
        found = METHODS[method]()
        if num_particles is None:
            num_particles = _NUM_PARTICLES.get(method)
    else:
        raise InputError(
            f"one of {', '.join(METHODS)} or {AUTO}", repr(method),
            nearest(str(method), [*METHODS, AUTO]),
            where="method",
        )  # fmt: skip
    return found if num_particles is None else replace(found, num_particles=num_particles)


def measured_by(
    method: AbstractMethod, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray
) -> Evidence:
    """A method's evidence, beside what draws of the prior find; of importance sampling that of the
    model itself, where it has one."""
    if isinstance(method, Importance):
        found = importance_evidence(pair, rows, key=key, num_particles=method.num_particles)
    else:
        found = method(pair, rows, key=key)
    return found if isinstance(method, MonteCarlo) else beside_the_prior(found, pair, rows, key=key)
