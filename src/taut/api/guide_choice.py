"""Which family of guides `taut.infer` fits: the words that name one, and the default for a program.

    full-rank | mean-field | low-rank[:RANK] | laplace | structured

A full covariance has d (d + 3) / 2 parameters; above 150 coordinates the default is a low-rank one, with
d (RANK + 2).
"""

from typing import NamedTuple

from taut.core import InputError

__all__ = ["GUIDES", "GuideChoice", "choose_guide"]

GUIDES = ("full-rank", "mean-field", "low-rank", "laplace", "structured")
_NUMBERED = ("low-rank",)
_FULL_RANK_DIM = 150  # above, a full covariance has more than 10 000 parameters
_RANK = 8


class GuideChoice(NamedTuple):
    """A family.

    Attributes:
        family: its name.
        number: rank of a low-rank guide; 0 for the others.
    """

    family: str
    number: int = 0


def choose_guide(wish: str | None, dim: int, *, subsampled: bool) -> GuideChoice:
    """The family for a wish, or the default.

    Arguments:
        wish: as above; None for the default.
        dim: latent coordinates, d.
        subsampled: whether a plate is.

    Raises:
        InputError: no such family; a number where none belongs, or that does not fit; a structured
            guide without a subsampled plate, or another guide with one.
    """
    if wish is None:
        default = "full-rank" if dim <= _FULL_RANK_DIM else "low-rank"
        wish = "structured" if subsampled else default
    family, colon, text = wish.partition(":")
    if family not in GUIDES or (colon and family not in _NUMBERED):
        raise InputError(f"a guide in {', '.join(GUIDES)}", repr(wish), "full-rank", where="guide")
    if (family == "structured") != subsampled:
        raise InputError(
            "the structured guide with a subsampled plate, and only there",
            f"guide '{family}' with {'a' if subsampled else 'no'} plate",
            "subsample={'rows': 1000}, or guide 'full-rank'",
            where="guide",
        )
    if family != "low-rank":
        return GuideChoice(family)
    if dim < 2:
        raise InputError(
            "a low-rank guide over at least two coordinates", f"{dim}", "full-rank", where="guide"
        )
    most = dim - 1
    if colon and not (text.isdecimal() and 1 <= int(text) <= most):
        raise InputError(
            f"a rank between 1 and {most}, less than the {dim} coordinates",
            repr(wish), f"low-rank:{min(_RANK, most)}, or full-rank", where="guide",
        )  # fmt: skip
    return GuideChoice(family, int(text) if colon else min(_RANK, most))
