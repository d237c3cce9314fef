"""The registry of priors: `name`, or `name:number` where the prior has components."""

import inspect
from collections.abc import Callable

from jaxtyping import PRNGKeyArray

from taut.core import InputError, nearest
from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.mixture import MixtureOfGaussians
from taut.models.priors.standard_normal import StandardNormal

__all__ = ["PRIORS", "check_prior", "make_prior"]

PRIORS: dict[str, Callable[..., AbstractPrior]] = {
    p.name: p for p in (StandardNormal, MixtureOfGaussians)
}


def make_prior(choice: str, latent_dim: int, *, key: PRNGKeyArray) -> AbstractPrior:
    """The prior that a name stands for, such as `standard-normal` or `mixture:10`.

    Arguments:
        choice: a key of `PRIORS`, with the number of components behind a colon where it has any.
        latent_dim: number of latent dimensions.
        key: for parameters that start at random.

    Raises:
        InputError: see `check_prior`.
    """
    make, options = _parsed(choice)
    if "key" in inspect.signature(make).parameters:
        return make(latent_dim, **options, key=key)
    return make(latent_dim, **options)


def check_prior(choice: str) -> None:
    """Refuse a name that `make_prior` cannot make.

    Raises:
        InputError: an unknown name, a number that is not a whole one of at least 1, or a number for
            a prior without components.
    """
    _parsed(choice)


def _parsed(choice: str) -> tuple[Callable[..., AbstractPrior], dict[str, int]]:
    name, colon, number = choice.partition(":")
    if name not in PRIORS:
        raise InputError(
            f"one of {', '.join(PRIORS)}", repr(name), nearest(name, PRIORS), where="prior"
        )
    make = PRIORS[name]
    if not colon:
        return make, {}
    if "components" not in inspect.signature(make).parameters:
        raise InputError(
            f"{name} without a number, for it has no components", repr(choice), name, where="prior"
        )
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise InputError(
            f"{name}:C with C components, a whole number of at least 1",
            repr(choice),
            f"{name}:10",
            where="prior",
        )
    return make, {"components": int(number)}
