"""What a classifier and a generator say of many rows, in one compiled program each, block by block."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from taut.core import Datum, over_rows
from taut.core.compiling import kept_jit
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.generator import AbstractGenerator
from taut.counterfactuals.targets import AbstractTarget

__all__ = ["decoded", "densities", "encoded", "in_blocks", "mapped", "outputs_of", "scores_of"]

_WIDTH = 1024  # rows in a block
_BLOCK = 256  # of programs that take long to a row


@kept_jit
def outputs_of(classifier: AbstractClassifier, x: Any) -> Any:
    """Outputs of each row, (N, C)."""
    return jax.vmap(classifier.outputs)(x).reshape(len(x), -1)


@kept_jit
def scores_of(target: AbstractTarget, outputs: Any) -> Any:
    """The target's score of each row's outputs, (N,)."""
    return jax.vmap(target.score)(outputs)


def mapped(program: Callable[[Any], Any], rows: Any) -> np.ndarray:
    """What a program of a block of rows returns for all of them, on the host."""
    blocks = over_rows(lambda block, *_: program(block.x), Datum(rows), width=_WIDTH)
    return np.concatenate(list(blocks))


def in_blocks(program: Callable[..., Any], *arrays: Any) -> Any:
    """What a program of arrays with a leading axis returns, in blocks of one size, on the host."""
    blocks = []
    for first in range(0, len(arrays[0]), _BLOCK):
        numbers = np.minimum(np.arange(first, first + _BLOCK), len(arrays[0]) - 1)
        blocks.append(jax.tree.map(np.asarray, program(*(array[numbers] for array in arrays))))
    return jax.tree.map(lambda *b: np.concatenate(b)[: len(arrays[0])], *blocks)


def encoded(generator: AbstractGenerator, x: np.ndarray) -> np.ndarray:
    """Codes of rows, (N, d)."""
    return mapped(lambda x: _encode(generator, x), x)


def decoded(generator: AbstractGenerator, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows of codes, each along the map of the row that moves, (N, *shape)."""
    return in_blocks(lambda z, x: _decode(generator, z, x), z, x)


def densities(generator: AbstractGenerator, x: np.ndarray) -> np.ndarray:
    """Log-densities of rows by a generator, nats."""
    return mapped(lambda x: _density(generator, x), x)


@kept_jit
def _encode(generator: AbstractGenerator, x: Any) -> Any:
    return jax.vmap(generator.encode)(x)


@kept_jit
def _decode(generator: AbstractGenerator, z: Any, x: Any) -> Any:
    return jax.vmap(lambda z, x: generator.like(x).decode(z))(z, x)


@kept_jit
def _density(generator: AbstractGenerator, x: Any) -> Any:
    return jax.vmap(lambda x: generator.decode_with_density(generator.encode(x))[1])(x)
