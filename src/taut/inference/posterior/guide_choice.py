"""Which family of guides `taut.infer` fits: the words that name one, and the default for a program.

    full-rank | mean-field | low-rank[:RANK] | laplace | structured | flow | LAYERS

LAYERS are those of a flow (`taut.transforms.make_layers`), such as spline-coupling:4 or planar:8. A full
covariance has d (d + 3) / 2 parameters; above 150 coordinates the default is a low-rank one, with
d (RANK + 2).
"""

from typing import NamedTuple

from taut.core import InputError, option
from taut.transforms import SPEC_NAMES, check_layers

__all__ = ["GUIDES", "GuideChoice", "choose_guide", "default_gaussian"]

GUIDES = ("full-rank", "mean-field", "low-rank", "laplace", "structured", "flow")
_NUMBERED = ("low-rank",)
_FULL_RANK_DIM = 150  # above, a full covariance has more than 10 000 parameters
_RANK = 8
# Affine couplings bend without end, splines only within a box; one coordinate has nothing to couple.
_LAYERS, _LAYERS_OF_ONE = "affine-coupling:4", "spline-coupling"


class GuideChoice(NamedTuple):
    """A family.

    Attributes:
        family: its name.
        number: rank of a low-rank guide; 0 for the others.
        layers: of a flow; empty for the others.
    """

    family: str
    number: int = 0
    layers: str = ""


def default_gaussian(dim: int) -> str:
    """The Gaussian family for d coordinates, without a rank."""
    return "full-rank" if dim <= _FULL_RANK_DIM else "low-rank"


def choose_guide(wish: str | None, dim: int, *, subsampled: bool) -> GuideChoice:
    """The family for a wish, or the default.

    Arguments:
        wish: as above; None for the default.
        dim: latent coordinates, d.
        subsampled: whether a plate is.

    Raises:
        InputError: no such family or layers; a number where none belongs, or that does not fit; a
            structured guide without a subsampled plate, or another guide with one.
    """
    if wish is None:
        wish = "structured" if subsampled else default_gaussian(dim)
    family, colon, text = wish.partition(":")
    layers = ""
    if wish == "flow":
        layers = _LAYERS if dim > 1 else _LAYERS_OF_ONE
    elif family.partition(",")[0] in SPEC_NAMES:
        check_layers(wish, where="guide")
        family, layers = "flow", wish
    elif family not in GUIDES or (colon and family not in _NUMBERED):
        raise InputError(
            f"a guide in {', '.join(GUIDES)}, or layers of a flow such as spline-coupling:4",
            repr(wish), "full-rank", where="guide",
        )  # fmt: skip
    if (family == "structured") != subsampled:
        raise InputError(
            f"{option('guide', 'structured')} with a subsampled plate, and another guide without one",
            f"{option('guide', family)} {'with' if subsampled else 'without'} one",
            f"{option('subsample', {'rows': 1000})}, or {option('guide', 'full-rank')}",
            where="guide",
        )
    if family != "low-rank":
        return GuideChoice(family, layers=layers)
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
