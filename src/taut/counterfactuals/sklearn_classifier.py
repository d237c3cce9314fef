"""Classifiers of scikit-learn as JAX functions with exact gradients, and two that are trained here.

    logistic        l = W u + b
    mlp             l = W_2 relu(W_1 relu(W_0 u + b_0) + b_1) + b_2

of u = (x - mean) / scale, as the pipeline of both standardises. The logits are those of the estimator.
"""

import warnings
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import InputError
from taut.counterfactuals.classifier import Differentiable
from taut.data import Dataset, has_label
from taut.errors import nearest

__all__ = ["TRAINED", "Layers", "Trained", "as_layers", "trained"]

TRAINED = ("logistic", "mlp")
_FEWEST = 2  # rows of a class
_WIDTHS = (128, 128)


class Layers(eqx.Module):
    """Standardisation, dense layers with ReLU between them, logits.

    Attributes:
        mean, scale: (D,).
        weights, biases: of each layer, (in, out) and (out,).
    """

    mean: Float[Array, " D"]
    scale: Float[Array, " D"]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, x: Array) -> Array:
        u = (x.ravel() - self.mean) / self.scale
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            u = jax.nn.relu(u @ w + b)
        return u @ self.weights[-1] + self.biases[-1]


class Trained(NamedTuple):
    """A classifier that was trained on the labels of rows.

    Attributes:
        classifier: of one row.
        classes: what its outputs stand for, in order.
        accuracy: on held-out rows; None without any.
    """

    classifier: Differentiable
    classes: tuple[Any, ...]
    accuracy: float | None


def as_layers(mean: Any, scale: Any, estimator: Any) -> Layers:
    """A fitted LogisticRegression or ReLU MLPClassifier behind a standardisation; same logits."""
    if hasattr(estimator, "coefs_"):
        weights, biases = estimator.coefs_, estimator.intercepts_
    else:
        weights, biases = [estimator.coef_.T], [estimator.intercept_]
    last, offset = weights[-1], biases[-1]
    if last.shape[1] == 1:  # the log-odds of the second class
        weights = [*weights[:-1], np.concatenate([0 * last, last], axis=1)]
        biases = [*biases[:-1], np.concatenate([0 * offset, offset])]
    real = jnp.result_type(float)
    return Layers(
        jnp.asarray(mean, real), jnp.asarray(scale, real),
        tuple(jnp.asarray(w, real) for w in weights), tuple(jnp.asarray(b, real) for b in biases),
    )  # fmt: skip


def trained(kind: str, rows: Dataset, *, held_out: Dataset | None = None, seed: int = 0) -> Trained:
    """Train a classifier on the labels of rows.

    Arguments:
        kind: `logistic` or `mlp`.
        rows: with labels of classes.
        held_out: other rows, on which its accuracy is measured.
        seed: of its start and order.

    Raises:
        InputError: another kind; no labels, or of fewer than two classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if kind not in TRAINED:
        raise InputError(
            f"one of {', '.join(TRAINED)}", repr(kind), nearest(kind, TRAINED), where="classifier"
        )
    rows, held_out = _labelled(rows), None if held_out is None else _labelled(held_out)
    label = rows.label
    if label is None or label.dtype.kind not in "iub" or len(np.unique(label)) < _FEWEST:
        found = "none" if label is None else f"{len(np.unique(label))} different, {label.dtype}"
        raise InputError(
            "labels of two or more classes, to train a classifier on", found,
            "data whose label column was named at the fit, or a classifier of your own",
            where="classifier",
        )  # fmt: skip
    x = np.asarray(rows.x, np.float64).reshape(len(rows), -1)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    scale = np.where(sd > 0, sd, 1.0)
    estimator: Any = (
        LogisticRegression(max_iter=2000, C=0.1) if kind == "logistic"
        else MLPClassifier(_WIDTHS, random_state=seed, early_stopping=True, max_iter=400)
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy says what it is worth
        estimator.fit((x - mean) / scale, label)
    accuracy = None
    if held_out is not None and len(held_out) and held_out.label is not None:
        others = np.asarray(held_out.x, np.float64).reshape(len(held_out), -1)
        accuracy = float(estimator.score((others - mean) / scale, held_out.label))
    layers = as_layers(mean, scale, estimator)
    return Trained(Differentiable(layers), tuple(estimator.classes_.tolist()), accuracy)


def _labelled(rows: Dataset) -> Dataset:
    """The rows that have a label, which those of a target may lack."""
    if rows.label is None or rows.schema.target is None:
        return rows
    return rows[np.flatnonzero(has_label(rows.label))]
