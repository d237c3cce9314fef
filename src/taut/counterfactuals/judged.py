"""What a classifier says of many rows, in one compiled program each."""

from typing import Any

import equinox as eqx
import jax

from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.targets import AbstractTarget

__all__ = ["outputs_of", "scores_of"]


@eqx.filter_jit
def outputs_of(classifier: AbstractClassifier, x: Any) -> Any:
    """Outputs of each row, (N, C)."""
    return jax.vmap(classifier.outputs)(x).reshape(len(x), -1)


@eqx.filter_jit
def scores_of(target: AbstractTarget, outputs: Any) -> Any:
    """The target's score of each row's outputs, (N,)."""
    return jax.vmap(target.score)(outputs)
