"""What a choice such as `bernoulli:200,200` or `categorical:20x10` says of the latents.

bernoulli:D             D bits
categorical:DxC         D units with C outcomes each
...:first,second        two stochastic layers, the first next to the data
"""

import re

from taut.core import InputError, nearest
from taut.models import StochasticLayer

__all__ = ["parse_grid", "parse_latents"]

_FAMILIES = {"bernoulli": "200", "categorical": "20x10"}


def parse_latents(choice: str) -> tuple[StochasticLayer, ...]:
    """The stochastic layers that a choice names, one or two.

    Raises:
        InputError: an unknown family, sizes of another form, more than two layers.
    """
    family, _, sizes = choice.partition(":")
    if family not in _FAMILIES:
        raise InputError(
            "bernoulli:D or categorical:DxC", repr(choice),
            f"{nearest(family, _FAMILIES)}", where="latents",
        )  # fmt: skip
    parts = sizes.split(",")
    form = r"[1-9]\d*" if family == "bernoulli" else r"[1-9]\d*x[1-9]\d*"
    if not all(re.fullmatch(form, part, re.ASCII) for part in parts):
        wanted = "D bits" if family == "bernoulli" else "D units of C outcomes each"
        named = [part.removeprefix(f"{family}:") for part in parts]  # the family once is enough
        meant = ",".join(named) if all(re.fullmatch(form, n, re.ASCII) for n in named) else ""
        raise InputError(
            f"{family}:{'D' if family == 'bernoulli' else 'DxC'} with {wanted}", repr(choice),
            f"{family}:{meant or _FAMILIES[family]}", where="latents",
        )  # fmt: skip
    if len(parts) > 2:
        raise InputError(
            "one or two stochastic layers", f"{len(parts)} in {choice!r}",
            f"{family}:{','.join(parts[:2])}", where="latents",
        )  # fmt: skip
    numbers = [tuple(int(n) for n in part.split("x")) for part in parts]
    for _, *levels in numbers:
        if levels == [1]:
            raise InputError(
                "units of at least two outcomes", repr(choice), "categorical:20x10", where="latents"
            )
    return tuple(StochasticLayer(*each) for each in numbers)


def parse_grid(choice: str) -> tuple[int, int]:
    """ "8x64" as 8 positions of 64 codes each.

    Raises:
        InputError: anything else, or fewer than two codes.
    """
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", choice, re.ASCII) or choice.endswith("x1"):
        raise InputError(
            "PxN, for P positions of N codes, at least two", repr(choice), "8x64", where="latents"
        )
    positions, codes = choice.split("x")
    return int(positions), int(codes)
