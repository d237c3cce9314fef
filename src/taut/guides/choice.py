"""The variational family that a choice names: a Gaussian, or layers of a flow over one.

mean-field | full-rank | low-rank:4 | planar:8 | radial:8 | sylvester:8 | iaf:4 | spline-coupling:4 | ...
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from jaxtyping import PRNGKeyArray

from taut.core import InputError, nearest
from taut.guides.abstract import AbstractFamily
from taut.guides.flow import FlowFamily
from taut.guides.full_rank import FullRankGaussian
from taut.guides.low_rank import LowRankGaussian
from taut.guides.mean_field import MeanFieldGaussian
from taut.transforms import SPEC_NAMES, check_layers

__all__ = ["FAMILIES", "PLAIN", "check_family", "make_family"]

PLAIN = "full-rank-plain"

# Made of the number of latent dimensions. In files of taut 0.1 a full-rank one was plain.
FAMILIES: dict[str, Callable[[int], AbstractFamily]] = {
    MeanFieldGaussian.name: MeanFieldGaussian,
    FullRankGaussian.name: partial(FullRankGaussian, relative=True),
    PLAIN: FullRankGaussian,
    LowRankGaussian.name: LowRankGaussian,
}


def make_family(
    choice: str,
    latent_dim: int,
    *,
    hidden: Sequence[int] | None = None,
    key: PRNGKeyArray,
) -> AbstractFamily:
    """The family that a name or a line of layers stands for.

    Arguments:
        choice: see the module.
        latent_dim: number of latent dimensions.
        hidden: widths of networks inside layers; None for `flow_widths`.
        key: for the parameters of layers.

    Raises:
        InputError: see `check_family`; a layer that does not take this number of dimensions.
    """
    check_family(choice)
    if choice in FAMILIES:
        return FAMILIES[choice](latent_dim)
    name, _, rank = choice.partition(":")
    if name == LowRankGaussian.name:
        return LowRankGaussian(latent_dim, int(rank))
    return FlowFamily(latent_dim, choice, hidden=hidden, key=key)


def check_family(choice: str) -> None:
    """Refuse a choice that `make_family` cannot make.

    Raises:
        InputError: neither a family nor layers, or a number of layers that is none.
    """
    if choice in FAMILIES:
        return
    first, _, number = choice.split(",")[0].strip().partition(":")
    if first == LowRankGaussian.name:
        if not re.fullmatch(r"[1-9]\d*", number, re.ASCII) or "," in choice:
            raise InputError("a rank of at least 1", repr(choice), "low-rank:4", where="guide")
        return
    if first not in SPEC_NAMES:
        known = (*FAMILIES, *SPEC_NAMES)
        raise InputError(
            f"{', '.join(FAMILIES)}, or layers of a flow such as planar:8, sylvester:8 or iaf:4",
            repr(choice), nearest(first, known), where="guide",
        )  # fmt: skip
    check_layers(choice, where="guide")
