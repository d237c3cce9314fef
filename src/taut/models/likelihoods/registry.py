"""The registry of likelihoods: by name, and by what the data are.

A registry, not a search: a name on the command line or in a file stands for one class, and its options
are that class's constructor arguments.
"""

import inspect
from typing import Any

from taut.core import InputError, nearest, option
from taut.models.likelihoods.abstract import AbstractLikelihood
from taut.models.likelihoods.bernoulli import Bernoulli
from taut.models.likelihoods.categorical import Categorical
from taut.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from taut.models.likelihoods.cumulative_logit import CumulativeLogit
from taut.models.likelihoods.discretized_logistic import DiscretizedLogistic
from taut.models.likelihoods.gaussian import Gaussian
from taut.models.likelihoods.negative_binomial import NegativeBinomial
from taut.models.likelihoods.poisson import Poisson
from taut.models.likelihoods.student_t import StudentT
from taut.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

__all__ = ["LIKELIHOODS", "choose_likelihood", "make_likelihood"]

LIKELIHOODS: dict[str, type[AbstractLikelihood]] = {
    cls.name: cls
    for cls in (
        Bernoulli,
        ContinuousBernoulli,
        DiscretizedLogistic,
        Gaussian,
        StudentT,
        Categorical,
        CumulativeLogit,
        Poisson,
        NegativeBinomial,
        ZeroInflatedPoisson,
        ZeroInflatedNegativeBinomial,
    )
}

_CELLS = {"image": "pixels", "table": "cells"}
_SUPPORTS = ("binary", "grey", "unit", "count", "real", "categorical")


def make_likelihood(
    name: str, *, shape: tuple[int, ...], levels: int | None = None, **options: Any
) -> AbstractLikelihood:
    """The likelihood of that name.

    Arguments:
        name: a key of `LIKELIHOODS`.
        shape: shape of one row of data.
        levels: number of values that a cell can take, where the family needs it.
        options: the family's own options, as `AbstractLikelihood.options` gives them.

    Raises:
        InputError: an unknown name or option, or no `levels` where the family needs them.
    """
    if name not in LIKELIHOODS:
        raise InputError(
            "the name of a likelihood", repr(name), nearest(name, LIKELIHOODS), where="likelihood"
        )
    cls = LIKELIHOODS[name]
    accepted = inspect.signature(cls).parameters
    own = accepted.keys() - {"shape", "levels"}
    for given in options:
        if given not in own:
            raise InputError(
                f"an option of the likelihood {name}",
                repr(given),
                _who_takes(given) or (nearest(given, own) if own else "no option: it has none"),
                where=f"likelihood {name}",
            )
    if "levels" in accepted:
        if levels is None:
            raise InputError(
                f"the number of levels of a {name} cell",
                "none",
                {
                    "categorical": f"{option('model', 'lca')}, which counts those of each column",
                    "cumulative-logit": f"{option('kind', ('grade=ordinal',))} for a column",
                }.get(
                    name, f"{option('likelihood', 'gaussian')}, or 8-bit pixels as whole numbers"
                ),
                where=f"likelihood {name}",
            )
        options["levels"] = levels
    if "shape" in accepted:
        options["shape"] = tuple(shape)
    return cls(**options)


def _who_takes(name: str) -> str | None:
    """The likelihoods with that option; None where it is nobody's."""
    takers = [n for n, cls in LIKELIHOODS.items() if name in inspect.signature(cls).parameters]
    return f"a likelihood that has it: {', '.join(takers)}" if takers else None


def choose_likelihood(*, kind: str, support: str, levels: int | None) -> tuple[str, str]:
    """The likelihood for data of that support, and why.

    Arguments:
        kind: `image` or `table`.
        support: `binary`; `grey` (k / (levels - 1) in [0, 1]); `unit` (reals in [0, 1]); `count`
            (non-negative integers); `real`; `categorical` (codes 0..levels-1).
        levels: number of values that a cell can take, where it is known.

    Returns:
        the name in `LIKELIHOODS` and one reason in plain English.

    Raises:
        InputError: an unknown kind or support, or categories without their number.
    """
    if kind not in _CELLS:
        raise InputError("image or table", repr(kind), nearest(kind, _CELLS), where="kind of data")
    if support not in _SUPPORTS:
        raise InputError(
            f"a support in {', '.join(_SUPPORTS)}",
            repr(support),
            nearest(support, _SUPPORTS),
            where="support of the data",
        )
    cells = _CELLS[kind]
    if support == "binary" or (support == "grey" and levels == 2):
        return "bernoulli", f"{cells} are 0 or 1, for which a Bernoulli is a mass function"
    if support == "grey" and levels is not None:
        return "discretized-logistic", (
            f"{cells} are grey levels k/{levels - 1}, {levels} of them: a Bernoulli would not be a "
            "density for them"
        )
    if support in ("grey", "unit"):
        return "continuous-bernoulli", (
            f"{cells} are reals in [0, 1]: a Bernoulli would not be a density for them"
        )
    if support == "count":
        return "negative-binomial", (
            f"{cells} are counts, and a negative binomial allows them to spread more than a Poisson"
        )
    if support == "categorical":
        if levels is None:
            raise InputError(
                "the number of categories", "none", "levels=5 for codes 0..4", where="levels"
            )
        return "categorical", f"{cells} are one of {levels} categories"
    return "gaussian", f"{cells} are reals: a Gaussian with a learned scale"
