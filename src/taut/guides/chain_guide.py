"""The inference side of a chain of layers, and the pair that shares the chain's parameters."""

import equinox as eqx

from taut.core import AbstractPair, Datum, InputError, option
from taut.models import AbstractPrior, ChainModel
from taut.transforms import Chain, ChainProposal

__all__ = ["ChainGuide", "ChainPair"]


class ChainGuide(eqx.Module):
    """q(path | x) of a chain, which needs all of x.

    Raises:
        InputError: a datum with a mask.
    """

    chain: Chain

    def __call__(self, datum: Datum) -> ChainProposal:
        if datum.mask is not None:
            raise InputError(
                "rows without missing cells, for a model of layers", "a row with missing cells",
                f"{option('missing', 'drop-rows')}, or {option('model', 'vae')}", where="mask",
            )  # fmt: skip
        return ChainProposal(self.chain, datum.x)


class ChainPair(AbstractPair):
    """A chain over a base: the layers are in one place and on both sides.

    Attributes:
        chain: layers from data to latent.
        base: p(z_T).
    """

    chain: Chain
    base: AbstractPrior

    def bind(self) -> tuple[ChainModel, ChainGuide]:
        return ChainModel(self.base, self.chain), ChainGuide(self.chain)
