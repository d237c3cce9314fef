"""The head of a target of classes: regression of the rows with one, or classes spread along all rows.

Regression says how a class lies among the features, and needs labels for it; spreading says that
neighbours are alike, and needs rows. Held-out labels decide, and then how warm probabilities are; how
warm those of neighbours are is decided by the other labels, too, each left out in turn, for what spreads
is no probability before, and few labels are held out where there are few. Where none is held out, or
where most rows have a class, regression it is.

What spreads may teach a model of its own as well: `spread_labels` tells it the classes of all rows. Told
a few labels alone, it would share the rows out among its classes by what tells them apart most, which
need not be what the labels say; so it would those alone that are least sure.
"""

from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from taut.fitted.heads import LogisticHead, best_temperature, log_softmax, logistic_head
from taut.fitted.propagation import PropagatedHead, Propagation

__all__ = ["class_head", "spread_labels"]


def class_head(
    z: Float[np.ndarray, "N d"],
    codes: Int[np.ndarray, " N"],
    held: tuple[Float[np.ndarray, "M d"], Int[np.ndarray, " M"]],
    num_classes: int,
    *,
    name: str = "auto",
) -> LogisticHead | PropagatedHead:
    """The head under which held-out labels are most probable, or the one that is named.

    Arguments:
        z: features of all rows.
        codes: their classes, two or more different ones, and -1 for none.
        held: features and classes of held-out rows, perhaps none.
        num_classes: C.
        name: `logistic`, `propagation`, or `auto` for the better one.
    """
    known = codes >= 0
    judged, truth = held
    found: list[LogisticHead | PropagatedHead] = []
    if name != "propagation":
        found.append(logistic_head(z[known], codes[known], held, num_classes))
    few = len(truth) > 0 and 2 * known.sum() < len(codes)
    if name == "propagation" or (name == "auto" and few):
        found.append(_neighbours(z, codes, held, num_classes))
    if len(found) == 1:
        return found[0]
    nll = [_nll(head.logits(judged), truth, head.temperature) for head in found]
    return found[int(np.argmin(nll))]


def _neighbours(
    z: Float[np.ndarray, "N d"],
    codes: Int[np.ndarray, " N"],
    held: tuple[Float[np.ndarray, "M d"], Int[np.ndarray, " M"]],
    num_classes: int,
) -> PropagatedHead:
    """What has spread or has settled, by held-out labels and by the others, each left out in turn."""
    judged, truth = held
    found = []
    for head, logits, own in Propagation(z, codes, num_classes).heads():
        told = np.concatenate([logits, head.logits(judged)]), np.concatenate([own, truth])
        temperature = best_temperature(*told)
        found.append((_nll(*told, temperature), head._replace(temperature=temperature)))
    return min(found, key=itemgetter(0))[1]


def _nll(logits: Float[np.ndarray, "n C"], codes: Int[np.ndarray, " n"], temperature: Any) -> float:
    """Mean of -log p of the classes, nats; 0 of none."""
    log_p = log_softmax(logits / float(temperature))
    return -float(log_p[np.arange(len(codes)), codes].mean()) if len(codes) else 0.0


def spread_labels(
    z: Float[np.ndarray, "N d"],
    codes: Int[np.ndarray, " N"],
    held: tuple[Float[np.ndarray, "M d"], Int[np.ndarray, " M"]],
    num_classes: int,
) -> Int[np.ndarray, " N"]:
    """Classes as they are known, and of other rows as they spread.

    Only what is known where regression is the better head, or where one class alone is known.

    Arguments:
        z, codes, held, num_classes: as of `class_head`.
    """
    if len(np.unique(codes[codes >= 0])) < 2:
        return codes
    head = class_head(z, codes, held, num_classes)
    if not isinstance(head, PropagatedHead):
        return codes
    return np.where(codes < 0, head.logits(z).argmax(axis=1), codes).astype(codes.dtype)
