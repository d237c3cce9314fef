"""Supports of parameters: their names, and the maps from R^n onto them.

    value = T(free),        log |det dT/dfree| summed over all cells        [nats]

The maps are those of `numpyro.distributions.biject_to`. Where the support has fewer dimensions than the
value has cells (a simplex, a correlation matrix, a zero-sum vector), the determinant is that of the map
onto the coordinates in which densities over the support are written.
"""

from typing import Any, NamedTuple

from numpyro.distributions import biject_to, constraints
from numpyro.distributions.constraints import Constraint

from taut.errors import InputError, counted, nearest

__all__ = ["SUPPORTS", "Site", "as_site", "free_shape", "onto"]

SUPPORTS: dict[str, Constraint] = {
    "real": constraints.real,
    "positive": constraints.positive,
    "nonnegative": constraints.nonnegative,
    "unit_interval": constraints.unit_interval,
    "circular": constraints.circular,
    "simplex": constraints.simplex,
    "ordered": constraints.ordered_vector,
    "positive_ordered": constraints.positive_ordered_vector,
    "zero_sum": constraints.zero_sum(1),
    "corr_cholesky": constraints.corr_cholesky,
    "corr_matrix": constraints.corr_matrix,
    "lower_cholesky": constraints.lower_cholesky,
    "positive_definite": constraints.positive_definite,
}


class Site(NamedTuple):
    """One latent of a program.

    Attributes:
        name: as the program calls it.
        shape: of its value in natural units.
        support: the NumPyro constraint of its value; where its bounds depend on other latents, those
            at the origin of the unconstrained space.
        plates: names of the plates around it, innermost first.
    """

    name: str
    shape: tuple[int, ...]
    support: Constraint
    plates: tuple[str, ...] = ()


def onto(support: Constraint, name: str) -> Any:
    """The smooth map from R^n onto a support, a NumPyro transform.

    Raises:
        InputError: a discrete support; a support without such a map. `name` is the site's.
    """
    if support.is_discrete:
        raise InputError(
            "a continuous latent, or one with finitely many values",
            f"a discrete one with support {support!r}",
            "dist.Categorical over a truncated range, which is summed out, or the marginal "
            "distribution (GammaPoisson for a Poisson rate, BetaBinomial, MixtureSameFamily)",
            where=f"site '{name}'",
        )
    try:
        return biject_to(support)
    except NotImplementedError:
        raise InputError(
            "a support with a smooth map from R^n onto it",
            f"{support!r}",
            "numpyro.handlers.reparam, or one of " + ", ".join(SUPPORTS),
            where=f"site '{name}'",
        ) from None


def free_shape(support: Constraint, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what the map onto a support takes for a value of a shape."""
    return tuple(onto(support, name).inverse_shape(shape))


def as_site(name: str, support: Any) -> Site:
    """A site from what a user wrote: a support, or a pair of a support and a shape.

    Arguments:
        name: the parameter's name.
        support: a name of `SUPPORTS`, a NumPyro constraint, or a pair (support, shape).

    Raises:
        InputError: an unknown name; no constraint; a shape that the support cannot have.
    """
    support, shape = support if isinstance(support, tuple) else (support, ())
    where = f"support of '{name}'"
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if isinstance(support, str):
        if support not in SUPPORTS:
            raise InputError(
                "a known support", f"'{support}'", nearest(support, SUPPORTS), where=where
            )
        support = SUPPORTS[support]
    if not isinstance(support, Constraint):
        raise InputError(
            "a name or a numpyro.distributions.constraints object",
            f"{support!r}",
            ", ".join(SUPPORTS),
            where=where,
        )
    if len(shape) < support.event_dim:
        raise InputError(
            f"a shape with at least {counted(support.event_dim, 'axis')} for {support!r}",
            f"{shape}",
            f"a pair, such as ('simplex', {(3,) * support.event_dim})",
            where=where,
        )
    onto(support, name)
    return Site(name, shape, support)
