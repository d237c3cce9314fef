"""Options with what their defaults stand for, of a program and its data."""

from dataclasses import replace

from taut.core import Datum
from taut.inference.posterior.guide_choice import choose_guide
from taut.inference.posterior.options import PosteriorOptions
from taut.inference.posterior.within_edges import affordable
from taut.models.program import AbstractProgram

__all__ = ["settled_options"]


def settled_options(
    options: PosteriorOptions, program: AbstractProgram, datum: Datum
) -> PosteriorOptions:
    """The options without a None that stands for a value: two that ask for the same are equal.

    Arguments:
        options: what the user chose.
        program: p(x, z).
        datum: all data.

    Raises:
        InputError: a guide that does not suit the program.
    """
    choice = choose_guide(options.guide, program.dim, subsampled=bool(options.subsample))
    rank = f":{choice.number}" if choice.number else ""
    return replace(
        options,
        guide=choice.layers or f"{choice.family}{rank}",
        num_draws=options.num_draws or affordable(datum),
    )
