"""Prediction by a class that is a latent of the model: q(y | x), which labels have taught."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import AbstractPair, Datum, Estimate, over_rows
from taut.core.compiling import kept_jit

__all__ = ["ClassLatent", "class_logits", "with_classification"]

_WIDTH = 512  # rows that are encoded together


class ClassLatent(NamedTuple):
    """q(y | x)^(1/T), normalised.

    Attributes:
        class_temperature: T, ().
    """

    class_temperature: Any

    @property
    def temperature(self) -> Any:
        """T."""
        return self.class_temperature


def class_logits(pair: AbstractPair, rows: Datum) -> Float[np.ndarray, "N C"]:
    """log q(y | x) of every class.

    Arguments:
        pair: whose guide proposes a class.
        rows: batched, without labels.
    """
    blocks = over_rows(lambda block, *_: _block(pair, block), rows, width=_WIDTH)
    return np.concatenate(list(blocks)).astype(np.float64)


def with_classification(
    found: Estimate,
    pair: AbstractPair,
    told: tuple[Datum, Int[np.ndarray, " N"]],
    weight: float,
) -> Estimate:
    """A mean bound plus weight times the mean of log q(y | x), of side `none`: what is climbed.

    Arguments:
        found: of rows without labels.
        pair: whose guide proposes a class.
        told: rows with a class, batched, without labels, and the classes; perhaps none.
        weight: alpha.
    """
    rows, codes = told
    if not len(codes) or found.values is None:
        return found
    log_q = class_logits(pair, rows)[np.arange(len(codes)), codes]
    more = weight * float(log_q.mean())
    return replace(found, value=found.value + more, values=found.values + more, side="none")


@kept_jit
def _block(pair: AbstractPair, block: Datum) -> Float[Array, "B C"]:
    guide = pair.bind()[1]
    return jax.vmap(lambda datum: guide(datum).log_q_y)(block)
