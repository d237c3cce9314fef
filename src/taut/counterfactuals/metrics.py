"""Metrics of several methods in one call, each with its standard error over rows.

    coverage         share of rows that have an answer, of all rows
    validity         share of answers that reach the target by the classifier
    agreement        share that classifiers trained on their own call the target class
    plausibility     share of answers above the median training log-density of a model of its own
    neighbours       share of an answer's k nearest training rows that are of the target class
    l0 to linf       distance from the row in units of `scale`
    outlier factor   local, of an answer among training rows of the target class; about 1
                     inside of them
    violations       share of answers that break a constraint
    diversity        mean distance between the answers to a row, where it has several
    queries          of the classifier for an answer

All but coverage are means over the rows that every method answered: a method that answers easy rows
alone is not compared on them with one that answers all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from taut.core import InputError
from taut.counterfactuals.baselines import Answers, scored
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.constraints import Box
from taut.counterfactuals.result import Counterfactuals
from taut.counterfactuals.targets import AbstractTarget, Class, Margin

__all__ = ["Mean", "Metrics", "metrics"]

_CHANGED = 1e-6  # of a cell's scale, above which it counts as changed


class Mean(NamedTuple):
    """A mean over rows and its standard error; NaN where there are no rows."""

    value: float
    error: float

    @classmethod
    def over(cls, values: np.ndarray) -> "Mean":
        """Of one number a row."""
        values = np.asarray(values, np.float64)
        if not len(values):
            return cls(float("nan"), float("nan"))
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        return cls(float(values.mean()), float(error))

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


@dataclass(frozen=True)
class Metrics:
    """Of each method, the mean of each metric.

    Attributes:
        of: by method, then by metric.
        rows: how many rows there are.
        compared: on how many of them, which all methods answered, the methods are compared.
    """

    of: Mapping[str, Mapping[str, Mean]]
    rows: int
    compared: int

    def __repr__(self) -> str:
        return f"Metrics({', '.join(self.of)} on {self.compared} of {self.rows} rows)"


def metrics(
    methods: Mapping[str, Counterfactuals | Answers],
    x: np.ndarray,
    *,
    target: AbstractTarget,
    classifier: AbstractClassifier,
    train: np.ndarray,
    of_target: np.ndarray,
    others: Sequence[AbstractClassifier] = (),
    log_density: Callable[[np.ndarray], np.ndarray] | None = None,
    box: Box | None = None,
    scale: float | np.ndarray = 1.0,
    neighbours: int = 5,
) -> Metrics:
    """Measure the first answer of each method to each row.

    Arguments:
        methods: answers by the name of what found them.
        x: the rows, (N, *shape).
        target, classifier: what was asked for, and of which classifier.
        train: training rows, (M, *shape).
        of_target: which of them are of the target class, (M,).
        others: classifiers that were trained on their own.
        log_density: of rows, by a model that no method has used; None leaves plausibility out.
        box: constraints; None leaves violations out.
        scale: of cells.
        neighbours: k.

    Raises:
        InputError: no methods; too few training rows of the target class for their neighbours.
    """
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    if not methods:
        raise InputError("at least one method", "none", "{'plain': search(...)}", where="methods")
    if of_target.sum() <= neighbours:
        raise InputError(
            f"more than {neighbours} training rows of the target class", f"{int(of_target.sum())}",
            "fewer neighbours", where="train",
        )  # fmt: skip
    answered = {name: _answered(found) for name, found in methods.items()}
    common = np.all(list(answered.values()), axis=0)
    flat = (train / scale).reshape(len(train), -1)
    near = NearestNeighbors(n_neighbors=neighbours).fit(flat)
    outlier = LocalOutlierFactor(n_neighbors=neighbours, novelty=True).fit(flat[of_target])
    median = None if log_density is None else np.median(log_density(train))
    least = 0.0 if isinstance(target, Class | Margin) else target.level
    measured = {}
    for name, found in methods.items():
        kept = {"coverage": Mean.over(answered[name])}
        measured[name] = kept
        if not common.any():
            continue
        answer = _first(found)[common]
        u = (answer / scale).reshape(len(answer), -1)
        moved = np.abs(u - (x[common] / scale).reshape(len(answer), -1))
        rows = {
            "validity": scored(answer, classifier, target) >= target.level,
            "neighbours": of_target[near.kneighbors(u, return_distance=False)].mean(axis=1),
            "l0": (moved > _CHANGED).sum(axis=1), "l1": moved.sum(axis=1),
            "l2": np.sqrt((moved**2).sum(axis=1)), "linf": moved.max(axis=1),
            "outlier factor": -outlier.score_samples(u),
            "queries": _queries(found)[common],
        }  # fmt: skip
        if others:
            votes = [scored(answer, other, target) >= least for other in others]
            rows["agreement"] = np.mean(votes, axis=0)
        if log_density is not None:
            rows["plausibility"] = log_density(answer) > median
        if box is not None:
            rows["violations"] = box.violated(answer, x[common])
        if isinstance(found, Counterfactuals) and found.answers.shape[1] > 1:
            rows["diversity"] = _diversity((found.answers / scale)[common])
        kept.update({metric: Mean.over(values) for metric, values in rows.items()})
    return Metrics(measured, len(x), int(common.sum()))


def _answered(found: Counterfactuals | Answers) -> np.ndarray:
    return found.reached[:, 0] if isinstance(found, Counterfactuals) else found.answered


def _first(found: Counterfactuals | Answers) -> np.ndarray:
    return found.answers[:, 0] if isinstance(found, Counterfactuals) else found.x


def _queries(found: Counterfactuals | Answers) -> np.ndarray:
    return found.queries[:, 0] if isinstance(found, Counterfactuals) else found.queries


def _diversity(answers: np.ndarray) -> np.ndarray:
    """Mean distance between the answers to each row, of (N, A, *shape)."""
    flat = answers.reshape(*answers.shape[:2], -1)
    apart = np.linalg.norm(flat[:, :, None] - flat[:, None], axis=-1)
    return apart.sum(axis=(1, 2)) / (apart.shape[1] * (apart.shape[1] - 1))
