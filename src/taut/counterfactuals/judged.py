"""What a classifier says of many rows, in one compiled program each, and programs block by block."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from taut.core import Datum, over_rows
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.targets import AbstractTarget

__all__ = ["mapped", "outputs_of", "scores_of"]

_WIDTH = 1024  # rows in a block


@eqx.filter_jit
def outputs_of(classifier: AbstractClassifier, x: Any) -> Any:
    """Outputs of each row, (N, C)."""
    return jax.vmap(classifier.outputs)(x).reshape(len(x), -1)


@eqx.filter_jit
def scores_of(target: AbstractTarget, outputs: Any) -> Any:
    """The target's score of each row's outputs, (N,)."""
    return jax.vmap(target.score)(outputs)


def mapped(program: Callable[[Any], Any], rows: Any) -> np.ndarray:
    """What a program of a block of rows returns for all of them, on the host."""
    blocks = over_rows(lambda block, *_: program(block.x), Datum(rows), width=_WIDTH)
    return np.concatenate(list(blocks))
