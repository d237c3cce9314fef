"""Where the direction that a command needs takes more than one pass of a layer, in words.

Autoregressive layers take one pass of their network in one direction and as many as there are
dimensions in the other, one after the other; Sylvester layers one equation for each hidden unit.
"""

from collections.abc import Iterator
from typing import Any

from taut.core import AbstractPair
from taut.gradients import AbstractEstimator, DoublyReparameterized, StickingTheLanding
from taut.guides import AmortizedGuide, FlowFamily
from taut.models import ChainModel, LatentVariableModel
from taut.models.priors import FlowPrior
from taut.transforms import Chain

__all__ = ["density_passes", "sampling_passes"]


def sampling_passes(pair: AbstractPair) -> str | None:
    """What drawing rows takes; None where every layer takes one pass."""
    model, _ = pair.bind()
    return next((_words("a draw", c, c.cost.decode) for c in _chains(model) if _slow(c)), None)


def density_passes(pair: AbstractPair, gradient: AbstractEstimator | None) -> str | None:
    """What a step of fitting or a row's density takes; None where every layer takes one pass."""
    model, guide = pair.bind()
    for chain in _chains(model):
        if chain.cost.encode > len(chain.layers):
            return _words("a density", chain, chain.cost.encode)
    family = guide.family if isinstance(guide, AmortizedGuide) else None
    apart = isinstance(gradient, StickingTheLanding | DoublyReparameterized)
    if isinstance(family, FlowFamily) and apart:
        passes = family.cost.encode
        if passes > len(family.chain.layers):
            return _words(
                f"the gradient {gradient.name}, by log q apart from its draws,",
                family.chain,
                passes,
            )
    return None


def _chains(model: Any) -> Iterator[Chain]:
    if isinstance(model, ChainModel):
        yield model.chain
    if isinstance(model, LatentVariableModel) and isinstance(model.prior_family, FlowPrior):
        yield model.prior_family.chain


def _slow(chain: Chain) -> bool:
    return chain.cost.decode > len(chain.layers)


def _words(what: str, chain: Chain, passes: int) -> str:
    return f"{what} takes {passes} passes one after the other through {len(chain.layers)} layers"
