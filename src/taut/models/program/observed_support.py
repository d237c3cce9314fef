"""Whether observed values lie in the supports of their distributions, and which one does not.

    site 'y': expected data in the support of their distribution, got 0.5 in row 3, where Poisson takes
    whole numbers from 0

Values that are arguments of the program, under a support with fixed bounds, are checked as they are;
others (`obs=jnp.log(y)`, `Binomial(n, p)` with n from the data) are computed first, and nothing else of
the program is. Cells that a mask hides are not checked. A value outside of a support that moves with a
latent rules out values of that latent, and is no fault of the data.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer
from numpyro import distributions as dist
from numpyro.distributions import constraints

from taut.errors import InputError
from taut.models.program.dependence import computed, reached
from taut.models.program.distribution_support import contains, library_of, satisfies, support_of

__all__ = ["Observation", "check_observed", "observations", "place_of", "shown"]

_SHOWN = 6  # numbers of a value in a message that stays one line
_WRAPPERS = (dist.MaskedDistribution, dist.ExpandedDistribution, dist.Independent)
_CATEGORIES = ("Categorical", "OrderedLogistic")
_WORDS = (
    (constraints.real, "finite numbers"),
    (constraints.boolean, "0 or 1"),
    (constraints.circular, "angles in radians"),
    (constraints.simplex, "numbers from 0 that add up to 1"),
    (constraints.ordered_vector, "increasing numbers"),
    (constraints.positive_ordered_vector, "positive increasing numbers"),
    (constraints.sphere, "vectors of length 1"),
    (constraints.corr_matrix, "correlation matrices"),
    (constraints.corr_cholesky, "lower triangles whose rows have length 1"),
    (constraints.lower_cholesky, "lower triangles with a positive diagonal"),
    (constraints.positive_definite, "positive definite matrices"),
)
_WORDS_WITH_BOUNDS = (
    (constraints.integer_interval, "whole numbers from {lower_bound} to {upper_bound}"),
    (constraints.integer_greater_than, "whole numbers from {lower_bound}"),
    (constraints.multinomial, "whole numbers from 0 that add up to {upper_bound}"),
    (constraints.zero_sum, "numbers that add up to 0"),
    (constraints.greater_than_eq, "numbers from {lower_bound}"),
    (constraints.greater_than, "numbers above {lower_bound}"),
    (constraints.less_than_eq, "numbers up to {upper_bound}"),
    (constraints.less_than, "numbers below {upper_bound}"),
    (constraints.interval, "numbers from {lower_bound} to {upper_bound}"),
)


class Observation(NamedTuple):
    """An observed site of a program that is traced; numbers may be tracers.

    Attributes:
        name: of the site.
        family: of its distribution, as people call it.
        inside: for each event of the data, whether it lies in the support.
        value: the data.
        support: as a constraint.
    """

    name: str
    family: str
    inside: Any
    value: Any
    support: Any


def observations(
    sites: Mapping[str, dict[str, Any]], arrays: Any, traced: Any
) -> list[Observation]:
    """The observed sites of a program that is traced.

    Arguments:
        sites: as NumPyro describes them.
        arrays: the program's data.
        traced: the same, as the program got them.
    """
    leaves = zip(jax.tree.leaves(traced), jax.tree.leaves(arrays), strict=True)
    arrays_of = {id(tracer): array for tracer, array in leaves}

    def known(value: Any) -> Any:
        array = arrays_of.get(id(value))
        return value if array is None else np.asarray(array)

    found = []
    for name, site in sites.items():
        factor = bool(site.get("infer", {}).get("is_auxiliary"))
        if site["type"] != "sample" or not site["is_observed"] or factor:
            continue
        fn, value = site["fn"], known(site["value"])
        if not isinstance(value, Tracer):
            value = np.asarray(value)
        try:
            shape = np.broadcast_shapes(value.shape, fn.shape())
        except ValueError:  # which is refused as such
            continue
        value = library_of(value).broadcast_to(value, shape)
        while isinstance(fn, dist.ExpandedDistribution | dist.Independent):
            fn = fn.base_dist  # whose events are the rows that a message can name
        inside, support = contains(fn, value, known), jax.tree.map(known, support_of(fn))
        found.append(Observation(name, _family(fn), inside, value, support))
    return found


def check_observed(
    found: Sequence[Observation],
    closed: Any,
    arguments: Sequence[Any],
    latents: Sequence[bool],
    where: str,
) -> frozenset[str]:
    """Whether all observed values lie in supports that do not move.

    Arguments:
        found: the observed sites, traced.
        closed: the closed jaxpr of that trace, whose results are the tracers of `found`.
        arguments: its flat arguments.
        latents: for each of them, whether latents are made of it.
        where: the program, for messages.

    Returns:
        names of the sites whose support moves with latents.

    Raises:
        InputError: a value outside.
    """
    leaves, structure = jax.tree.flatten(found)
    traced = [number for number, leaf in enumerate(leaves) if isinstance(leaf, Tracer)]
    if traced:
        _, moved = reached(closed.jaxpr, latents)
        fixed = [number for number, moves in zip(traced, moved, strict=True) if not moves]
        values = computed(closed, [not moves for moves in moved], arguments)
        for number, value in zip(fixed, values, strict=True):
            leaves[number] = value
    moving = set()
    for one in jax.tree.unflatten(structure, leaves):
        if isinstance(one.inside, Tracer):
            moving.add(one.name)
        elif not np.all(one.inside):
            raise _outside(one, f"{where}, site '{one.name}'")
    return frozenset(moving)


def place_of(cell: Sequence[int]) -> str:
    """Where a cell stands, as a phrase that counts from 1; empty for a single number."""
    if not cell:
        return ""
    first, *rest = (number + 1 for number in cell)
    return f" in row {first}" + (f", column {', '.join(map(str, rest))}" if rest else "")


def shown(value: Any) -> str:
    """A number, or an array of them with as many as fit a line."""
    value = np.asarray(value)
    if value.ndim == 0:
        return f"{value:g}"
    if value.size <= _SHOWN:
        return "[" + ", ".join(map(shown, value)) + "]"
    first = ", ".join(f"{number:g}" for number in value.reshape(-1)[:_SHOWN])
    return f"[{first}, ...] of shape {value.shape}"


def _outside(one: Observation, where: str) -> InputError:
    support, cell = _support_and_cell(one)
    value = np.asarray(one.value)[cell]
    words = _described(support, cell)
    if words and support is constraints.unit_interval and value in (0, 1):
        words += ", both left out"
    if support is constraints.simplex and np.any(value == 0):
        words = "numbers above 0 that add up to 1"
    return InputError(
        "data in the support of their distribution",
        shown(value) + place_of(cell) + (f", where {one.family} takes {words}" if words else ""),
        _remedy(one.family, support, value),
        where=where,
    )


def _support_and_cell(one: Observation) -> tuple[Any, tuple[int, ...]]:
    """The first cell outside, that within an event where one alone is, and the support of it."""
    support, cell = one.support, tuple(int(i) for i in np.argwhere(~one.inside)[0])
    if not isinstance(support, constraints.independent):
        return support, cell
    each = np.asarray(satisfies(support.base_constraint, one.value))
    if np.ndim(each) != np.ndim(one.value):
        return support.base_constraint, cell
    wrong = np.argwhere(~each[cell])
    inner = tuple(int(i) for i in wrong[0]) if len(wrong) else ()
    return support.base_constraint, (*cell, *inner)


def _described(support: Any, cell: Sequence[int]) -> str:
    for known, words in _WORDS:
        if support is known:
            return words
    for kind, words in _WORDS_WITH_BOUNDS:
        if isinstance(support, kind):
            bounds = {n: _bound(v, cell) for n, v in vars(support).items() if n.endswith("_bound")}
            return words.format(**bounds)
    return ""


def _bound(bound: Any, cell: Sequence[int]) -> str:
    """A bound at a cell of what it is broadcast over."""
    bound = np.asarray(bound)
    at = cell[len(cell) - bound.ndim :] if bound.ndim <= len(cell) else ()
    at = tuple(0 if size == 1 else i for i, size in zip(at, bound.shape, strict=False))
    return shown(bound[at])


def _remedy(family: str, support: Any, value: Any) -> str:
    if support is constraints.simplex and np.all(value >= 0):
        if np.any(value == 0):
            return (
                "a small number added to every cell, each row then divided by its sum, or counts under "
                "dist.DirichletMultinomial"
            )
        return "dividing each row by its sum"
    if isinstance(support, constraints.multinomial):
        return "the total of each row as total_count"
    if family in _CATEGORIES and value % 1 == 0:
        return "categories that count from 0, or more of them"
    if isinstance(support, constraints.greater_than) and np.all(value == 0):
        return "another distribution, such as a hurdle (HurdleGamma, HurdleLogNormal) for zeros"
    if np.isnan(value).any():
        return "obs_mask of the site, which leaves out cells that were not observed"
    return "another distribution, or correcting the data"


def _family(fn: Any) -> str:
    while isinstance(fn, _WRAPPERS):
        fn = fn.base_dist
    name = type(fn).__name__
    short = name.removesuffix("Probs").removesuffix("Logits")
    return short if hasattr(dist, short) else name
