"""The registry of priors: `name`, `name:number` where the prior has components, `flow:LAYERS`."""

import inspect
from collections.abc import Callable
from typing import Any

from jaxtyping import PRNGKeyArray

from taut.core import InputError, nearest
from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.flow import FlowPrior
from taut.models.priors.mixture import MixtureOfGaussians
from taut.models.priors.standard_normal import StandardNormal
from taut.transforms import check_layers

__all__ = ["PRIORS", "check_prior", "make_prior"]

PRIORS: dict[str, Callable[..., AbstractPrior]] = {
    p.name: p for p in (StandardNormal, MixtureOfGaussians, FlowPrior)
}


def make_prior(choice: str, latent_dim: int, *, key: PRNGKeyArray) -> AbstractPrior:
    """The prior that a name stands for, such as `standard-normal`, `mixture:10` or `flow:maf:4`.

    Arguments:
        choice: a key of `PRIORS`, with the number of components behind a colon where it has any, and
            the layers of a flow there.
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
        InputError: an unknown name, a number that is not a whole one of at least 1, a number for a
            prior without components, layers that there are not.
    """
    _parsed(choice)


def _parsed(choice: str) -> tuple[Callable[..., AbstractPrior], dict[str, Any]]:
    name, colon, number = choice.partition(":")
    if name not in PRIORS:
        raise InputError(
            f"one of {', '.join(PRIORS)}", repr(name), nearest(name, PRIORS), where="prior"
        )
    make = PRIORS[name]
    if not colon:
        return make, {}
    if "layers" in inspect.signature(make).parameters:
        check_layers(number, where="prior")
        return make, {"layers": number}
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
