"""Whether a classifier takes rows in the units of the model's data.

A classifier that was trained on grey levels 0, ..., L - 1 or on standardised columns answers rows in the
data's units too, and its answers mean nothing. Labels tell: it is right on few rows as they are and on
many in the other form.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from taut.core import InputError
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.judged import outputs_of
from taut.data import Schema

__all__ = ["check_units"]

_LOST, _RIGHT = 0.2, 0.6  # a loss of accuracy that is no accident, and one worth having


def check_units(
    classifier: AbstractClassifier, x: np.ndarray, label: np.ndarray, schema: Schema
) -> None:
    """Refuse a classifier that labelled rows show to be one of rows in other units.

    Arguments:
        classifier: whose outputs are logits of the classes 0, 1, ...
        x: rows in the data's units, (N, *shape).
        label: their classes, (N,).
        schema: of the rows.

    Raises:
        InputError: it is right on far more rows in another form.
    """
    as_they_are = _accuracy(classifier, x, label)
    for form, (rows, mended) in _forms(x, schema).items():
        accuracy = _accuracy(classifier, rows, label)
        if accuracy >= _RIGHT and accuracy - as_they_are >= _LOST:
            raise InputError(
                "a classifier of rows as the model has them",
                f"one that is right on {as_they_are:.0%} of them, and on {accuracy:.0%} {form}",
                f"{mended} in the classifier first", where="classifier",
            )  # fmt: skip


def _forms(x: np.ndarray, schema: Schema) -> Mapping[str, tuple[np.ndarray, str]]:
    """Rows in other forms, and what makes them of the rows, by words."""
    forms = {}
    if schema.levels is not None and schema.support == "grey":
        top = schema.levels - 1
        forms[f"multiplied by {top}"] = x * top, f"multiplying by {top}"
    if schema.scale is not None:
        shift, scale = schema.shift_scale()
        forms["standardised"] = ((x - shift) / scale).astype(x.dtype), "standardising"
    return forms


def _accuracy(classifier: AbstractClassifier, x: np.ndarray, label: np.ndarray) -> float:
    outputs = np.asarray(outputs_of(classifier, jnp.asarray(x)))
    said = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0
    return float(np.mean(said == label))
