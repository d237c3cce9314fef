"""The registry of priors.

name                standard-normal, mixture, vamp, flow
name:number         mixture:10 with so many components, vamp:500 with so many pseudo-inputs
vamp:500,weighted   their weights are learned
flow:LAYERS         as `make_layers` takes them
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import PRNGKeyArray

from taut.core import InputError, nearest
from taut.data import Schema
from taut.models.priors.abstract import AbstractPrior
from taut.models.priors.flow import FlowPrior
from taut.models.priors.mixture import MixtureOfGaussians
from taut.models.priors.standard_normal import StandardNormal
from taut.models.priors.vamp import VampPrior
from taut.transforms import check_layers

__all__ = ["PRIORS", "check_prior", "make_prior"]

PRIORS: dict[str, Callable[..., AbstractPrior]] = {
    p.name: p for p in (StandardNormal, MixtureOfGaussians, VampPrior, FlowPrior)
}


class _Counted(NamedTuple):
    """The number behind a colon."""

    field: str
    letter: str
    words: str
    usual: int


_COUNTED: dict[Any, _Counted] = {
    MixtureOfGaussians: _Counted("components", "C", "components", 10),
    VampPrior: _Counted("pseudo_inputs", "K", "pseudo-inputs", 500),
}


def make_prior(
    choice: str, latent_dim: int, *, key: PRNGKeyArray, schema: Schema | None = None
) -> AbstractPrior:
    """The prior that a name stands for, such as `standard-normal`, `mixture:10` or `flow:maf:4`.

    Arguments:
        choice: a key of `PRIORS`, with the number of components behind a colon where it has any, and
            the layers of a flow there.
        latent_dim: number of latent dimensions.
        key: for parameters that start at random.
        schema: what a row is, where the model has an encoder of rows, whose posteriors a prior may
            average; None elsewhere.

    Raises:
        InputError: see `check_prior`; a prior of posteriors where there is no encoder.
    """
    make, options = _parsed(choice)
    if make is VampPrior:
        if schema is None:
            raise InputError(
                "a prior with parameters of its own, as this model has no encoder whose posteriors it "
                "could average",
                repr(choice), "mixture:10", where="prior",
            )  # fmt: skip
        options["schema"] = schema
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
    number, comma, word = number.partition(",")
    counted = _COUNTED.get(make)
    if counted is None:
        raise InputError(
            f"{name} without a number, for it has no components", repr(choice), name, where="prior"
        )
    if comma and not (make is VampPrior and word.strip() == "weighted"):
        wish = f"{name}:K or {name}:K,weighted" if make is VampPrior else f"{name}:C, one number"
        raise InputError(wish, repr(choice), f"{name}:{number or counted.usual}", where="prior")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise InputError(
            f"{name}:{counted.letter} with {counted.letter} {counted.words}, a whole number of at "
            "least 1",
            repr(choice),
            f"{name}:{counted.usual}",
            where="prior",
        )
    return make, {counted.field: int(number), **({"weighted": True} if comma else {})}
