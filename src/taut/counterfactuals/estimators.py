"""What an estimator of scikit-learn says of many rows, as outputs that stand for its classes in order.

    predict_proba                 log p_c; the log-odds of one probability alone
    decision_function             as it is; of pairs of classes the votes of each, with the sums of its
                                  margins, held within (-1/3, 1/3), between equal ones
    predict, where it has classes log of 1 for the class that is said and of 1e-6 for the others
    predict                       the value

Classes are those that it was fitted to, `classes_`, whatever they are: words, yes and no, numbers that
begin anywhere.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from taut.core import InputError

__all__ = ["classes_of", "outputs_of_estimator", "place_of"]

_SMALLEST = 1e-6  # probability that a logarithm is taken of: forests have zeros


def classes_of(classifier: Any) -> list[Any] | None:
    """The classes of an estimator in the order of its outputs; None without one list of them."""
    classes = getattr(classifier, "classes_", None)
    return np.asarray(classes).tolist() if isinstance(classes, np.ndarray) else None


def place_of(target: Any, classes: list[Any] | None) -> int:
    """The number of the output that stands for a class.

    Arguments:
        target: one of the classes; a number of an output where classes have other names, or none.
        classes: of the classifier, see `classes_of`.

    Raises:
        InputError: no such class.
    """
    target = target.item() if isinstance(target, np.generic) else target
    if classes is not None and target in classes:
        return classes.index(target)
    numbered = classes is None or all(isinstance(one, str) for one in classes)
    if numbered and isinstance(target, int):
        return target
    raise InputError(
        "a number of a class, or one of taut.counterfactuals" if classes is None
        else f"one of the classes {', '.join(map(repr, classes[:8]))}",
        repr(target), "1" if classes is None else repr(classes[-1]), where="target",
    )  # fmt: skip


def outputs_of_estimator(estimator: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From rows (N, *shape) to outputs (N, C) or (N,).

    Raises:
        InputError: a classifier of one class, whose answer nothing changes.
    """
    classes = classes_of(estimator)
    if classes is not None and len(classes) < 2:
        raise InputError(
            "a classifier of two classes or more", f"one of {classes[0]!r} alone",
            "fitting it to rows of several classes", where="classifier",
        )  # fmt: skip

    def outputs(x: np.ndarray) -> np.ndarray:
        x = x.reshape(len(x), -1)
        if hasattr(estimator, "predict_proba"):
            return _of_probabilities(np.asarray(estimator.predict_proba(x)))
        if hasattr(estimator, "decision_function"):
            said = np.asarray(estimator.decision_function(x))
            several = len(classes or ())
            return _of_pairs(said, several) if several > 2 and _by_pairs(estimator) else said
        said = np.asarray(estimator.predict(x))
        if classes is None:
            return said
        return np.log(np.maximum(said[:, None] == np.asarray(classes), _SMALLEST))

    return outputs


def _of_probabilities(p: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(p, _SMALLEST))
    alone = p.ndim == 1 or p.shape[1:] == (1,)
    return logs - np.log(np.maximum(1 - p, _SMALLEST)) if alone else logs


def _by_pairs(estimator: Any) -> bool:
    """Whether it decides between two classes at a time, by itself or as the last step of another one."""
    known = estimator.get_params() if hasattr(estimator, "get_params") else {}
    return any(
        name.endswith("decision_function_shape") and value == "ovo" for name, value in known.items()
    )


def _of_pairs(margins: Float[np.ndarray, "N P"], count: int) -> Float[np.ndarray, "N C"]:
    """As scikit-learn makes decisions for each class of those for the first of each pair."""
    votes, sums = np.zeros((2, len(margins), count))
    for margin, (one, other) in zip(margins.T, combinations(range(count), 2), strict=True):
        sums[:, one] += margin
        sums[:, other] -= margin
        votes[:, one] += margin >= 0
        votes[:, other] += margin < 0
    return votes + sums / (3 * (np.abs(sums) + 1))
