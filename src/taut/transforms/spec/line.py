"""The language of layers, such as `spline-coupling:8` or `dequantize,logit,squeeze,glow:4`.

Names are separated by commas, the layer next to the data first; a number behind a colon is how many, or
what the table says. One table holds all names. Bijections of a vector may stand in posteriors, in priors
and in models of data (exact):

    affine-coupling, spline-coupling, maf, spline-maf, iaf, planar, radial, sylvester, affine, actnorm,
    lu, reverse

All others stand in models of data alone:

    next to data  dequantize, dequantize-variational   x = floor(z): whole numbers    lower bound
                  generative-abs, generative-sort      x = |z|, x = sort(z)           exact if summed
    of any shape  abs, sort, slice:K                   z = |x|, sorted, K of them     exact
                  max-pool                             z = maxima of pairs, or 2 x 2  exact
                  logit                                z = logit of bounded x         exact
                  augment:K                            z = x and K more               lower bound
                  shuffle                              the order is drawn             exact if summed
                  vae:K                                z ~ q(z | x), K dimensions     lower bound
    of images     squeeze, invertible-conv, conv-coupling:K, glow:K                   exact
                  multi-scale                          half of the channels end here; exact
                                                       all after it see the rest
"""

from taut.core import InputError, nearest, option
from taut.transforms.spec.data_layers import DATA_LAYERS
from taut.transforms.spec.entry import Entry
from taut.transforms.spec.vector_layers import VECTOR_LAYERS

__all__ = ["LAYER_NAMES", "SPEC_NAMES", "Part", "check_layers"]

Part = tuple[str, int]

LAYER_NAMES: dict[str, Entry] = {**VECTOR_LAYERS, **DATA_LAYERS}
SPEC_NAMES: tuple[str, ...] = tuple(VECTOR_LAYERS)


def check_layers(line: str, *, where: str = "layers", of_data: bool = False) -> tuple[Part, ...]:
    """Names of a line and their numbers, 1 where there is none.

    Arguments:
        where: what the message is about, such as an option.
        of_data: whether the line is a model of data; else a posterior or a prior, which are made of
            bijections of a vector.

    Raises:
        InputError: an unknown name or one that may not stand there; a number that is none, that is
            missing or that has no meaning.
    """
    return tuple(_parsed(part.strip(), where, of_data) for part in line.split(","))


def _parsed(part: str, where: str, of_data: bool) -> Part:
    name, colon, number = part.partition(":")
    known = tuple(LAYER_NAMES) if of_data else SPEC_NAMES
    if name not in known:
        elsewhere = name in LAYER_NAMES
        raise InputError(
            f"layers among {', '.join(known)}",
            f"{name!r}, a layer of models of data" if elsewhere else repr(name),
            option(where, "flow:affine-coupling:4" if where == "prior" else "affine-coupling:4")
            if elsewhere
            else nearest(name, known),
            where=where,
        )
    entry = LAYER_NAMES[name]
    if not colon and not entry.needed:
        return name, 1
    if entry.number is None:
        raise InputError(f"{name} without a number", repr(part), name, where=where)
    if not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise InputError(
            f"{name}:K with {entry.number}, a whole number of at least 1", repr(part), f"{name}:8",
            where=where,
        )  # fmt: skip
    return name, int(number)
