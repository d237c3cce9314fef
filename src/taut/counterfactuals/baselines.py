"""Baselines without a generator: the nearest row of the wanted class, and growing spheres.

    nearest unlike neighbour    argmin over training rows that reach the level of |u - u_0|
    growing spheres             the nearest hit in the first layer about the row that has one

u are cells in units of `scale`. Ascent in x (Wachter) is `search(..., geometry="x-space",
proximity=...)`, and REVISE is `search(..., geometry="adam", proximity=...)`.

Source: Laugel, Lesot, Marsala, Renard and Detyniecki, Comparison-based inverse classification for
interpretability in machine learning (IPMU 2018), algorithm 1.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from taut.core import InputError
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.judged import outputs_of, scores_of
from taut.counterfactuals.targets import AbstractTarget

__all__ = ["Answers", "growing_spheres", "nearest_unlike"]

_PER_LAYER = 500
_FIRST, _WIDER, _LAYERS = 0.1, 1.3, 30


class Answers(NamedTuple):
    """Answers to N rows.

    Attributes:
        x: (N, *shape); the row itself where there is none.
        answered: which rows have one, (N,).
        queries: of the classifier, (N,).
    """

    x: np.ndarray
    answered: np.ndarray
    queries: np.ndarray


def nearest_unlike(
    x: np.ndarray,
    train: np.ndarray,
    *,
    classifier: AbstractClassifier,
    target: AbstractTarget,
    scale: float | np.ndarray = 1.0,
) -> Answers:
    """The training row nearest to each row that the classifier says what is wanted of.

    Raises:
        InputError: no training row is one.
    """
    good = train[scored(train, classifier, target) >= target.level]
    if not len(good):
        raise InputError(
            "a training row that reaches the target", "none", "a lower confidence", where="target"
        )
    flat = (good / scale).reshape(len(good), -1)
    places = [int(((row - flat) ** 2).sum(1).argmin()) for row in (x / scale).reshape(len(x), -1)]
    return Answers(good[places], np.ones(len(x), bool), np.full(len(x), len(train)))


def growing_spheres(
    x: np.ndarray,
    *,
    classifier: AbstractClassifier,
    target: AbstractTarget,
    scale: float | np.ndarray = 1.0,
    seed: int = 0,
) -> Answers:
    """The nearest of the points that are drawn about each row, layer by layer outwards."""
    rng = np.random.default_rng(seed)
    found, answered, queries = x.copy(), np.zeros(len(x), bool), np.zeros(len(x), int)
    dim = x[0].size
    for i, row in enumerate(x):
        inner, outer = 0.0, _FIRST
        for _ in range(_LAYERS):
            way = rng.normal(size=(_PER_LAYER, dim))
            way = way / np.linalg.norm(way, axis=1, keepdims=True)
            share = rng.uniform(inner**dim, outer**dim, (_PER_LAYER, 1)) ** (1 / dim)
            drawn = row + scale * (share * way).reshape(-1, *row.shape)
            drawn = drawn.astype(x.dtype)
            queries[i] += _PER_LAYER
            hit = scored(drawn, classifier, target) >= target.level
            if hit.any():
                nearest = np.where(hit, share[:, 0], np.inf).argmin()
                found[i], answered[i] = drawn[nearest], True
                break
            inner, outer = outer, outer * _WIDER
    return Answers(found, answered, queries)


def scored(x: np.ndarray, classifier: AbstractClassifier, target: AbstractTarget) -> np.ndarray:
    """The target's score of each row."""
    return np.asarray(scores_of(target, outputs_of(classifier, jnp.asarray(x))))
