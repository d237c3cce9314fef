"""Metrics of several methods in one call, each with its standard error over rows.

    coverage         share of rows that have an answer, of all rows
    validity         share of answers that reach the target by the classifier
    agreement        share that classifiers trained on their own call the target class
    plausibility     share of answers above the median training log-density of a model of its own
    neighbours       share of an answer's k nearest training rows that are of the target class
    l0 to linf       distance from the row in units of `scale`
    outlier factor   local, of an answer among training rows of the target class; about 1
                     inside of them
    im1              |a - r_t(a)|^2 / |a - r_o(a)|^2, of an answer a; below 1 where the autoencoder of
                     the target class, r_t, knows it better than that of the row's own class, r_o
    im2              |r_t(a) - r(a)|^2 / |a|_1, with r the autoencoder of all classes
    violations       share of answers that break a constraint
    diversity        mean distance between the answers to a row, where it has several
    queries          of the classifier for an answer

All but coverage are means over the rows that every method answered: a method that answers easy rows
alone is not compared on them with one that answers all. Two methods are compared by the mean of their
differences row by row.

Source of im1 and im2: Van Looveren and Klaise, Interpretable counterfactual explanations guided by
prototypes (2021), section 4.1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from taut.core import InputError, counted, nearest
from taut.counterfactuals.baselines import Answers, scored
from taut.counterfactuals.classifier import AbstractClassifier
from taut.counterfactuals.constraints import Box
from taut.counterfactuals.result import Counterfactuals
from taut.counterfactuals.targets import AbstractTarget, Class, Margin

__all__ = ["Mean", "Metrics", "metrics"]

_CHANGED = 1e-6  # of a cell's scale, above which it counts as changed
_TINY = 1e-12

Rebuilds = Callable[[np.ndarray], np.ndarray]


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
        values: of each method, each metric on each of these rows.
    """

    of: Mapping[str, Mapping[str, Mean]]
    rows: int
    compared: int
    values: Mapping[str, Mapping[str, np.ndarray]]

    def difference(self, metric: str, first: str, second: str) -> Mean:
        """The mean over rows of what the first method has more of a metric than the second; NaN
        where no row has an answer of all methods.

        Raises:
            InputError: a method or a metric that was not measured.
        """
        for name in (first, second):
            _check_measured(name, self.of, "method")
        if not self.compared:
            return Mean.over(np.empty(0))
        for name in (first, second):
            _check_measured(metric, self.values[name], "metric")
        pair = [np.asarray(self.values[name][metric], np.float64) for name in (first, second)]
        return Mean.over(pair[0] - pair[1])

    def __repr__(self) -> str:
        return f"Metrics({', '.join(self.of)} on {self.compared} of {counted(self.rows, 'row')})"


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
    autoencoders: Mapping[int | None, Rebuilds] | None = None,
    origin: np.ndarray | None = None,
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
        autoencoders: what rebuilds rows, by the class of its training rows, such as `Fit.reconstruct`;
            under None that of all classes. None leaves im1 and im2 out, which need a class as target.
        origin: class of each row, (N,), for im1.
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
    measured, by_row = {}, {}
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
        if autoencoders is not None and origin is not None and isinstance(target, Class | Margin):
            rows |= _known_by(answer, origin[common], autoencoders, target.index)
        if box is not None:
            rows["violations"] = box.violated(answer, x[common])
        if isinstance(found, Counterfactuals) and found.answers.shape[1] > 1:
            rows["diversity"] = _diversity((found.answers / scale)[common])
        by_row[name] = rows
        kept.update({metric: Mean.over(values) for metric, values in rows.items()})
    return Metrics(measured, len(x), int(common.sum()), by_row)


def _check_measured(name: str, names: Mapping[str, Any], where: str) -> None:
    if name not in names:
        raise InputError(
            f"one of {', '.join(names)}", repr(name), nearest(name, names), where=where
        )


def _answered(found: Counterfactuals | Answers) -> np.ndarray:
    return found.reached[:, 0] if isinstance(found, Counterfactuals) else found.answered


def _first(found: Counterfactuals | Answers) -> np.ndarray:
    return found.answers[:, 0] if isinstance(found, Counterfactuals) else found.x


def _queries(found: Counterfactuals | Answers) -> np.ndarray:
    return found.queries[:, 0] if isinstance(found, Counterfactuals) else found.queries


def _known_by(
    answer: np.ndarray,
    origin: np.ndarray,
    autoencoders: Mapping[int | None, Rebuilds],
    target: int,
) -> dict[str, np.ndarray]:
    """im1 and im2 of each answer."""

    def squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((a - b).reshape(len(a), -1) ** 2).sum(axis=1)

    known = autoencoders[target](answer)
    lost = np.empty(len(answer))
    for label in np.unique(origin).tolist():
        own = origin == label
        if label not in autoencoders:
            raise InputError(
                "classes of rows that each have an autoencoder", f"{label!r}",
                "the number of a class for each row", where="origin",
            )  # fmt: skip
        lost[own] = squares(answer[own], autoencoders[label](answer[own]))
    size = np.abs(answer).reshape(len(answer), -1).sum(axis=1)
    return {
        "im1": squares(answer, known) / (lost + _TINY),
        "im2": squares(known, autoencoders[None](answer)) / (size + _TINY),
    }


def _diversity(answers: np.ndarray) -> np.ndarray:
    """Mean distance between the answers to each row, of (N, A, *shape)."""
    flat = answers.reshape(*answers.shape[:2], -1)
    apart = np.linalg.norm(flat[:, :, None] - flat[:, None], axis=-1)
    return apart.sum(axis=(1, 2)) / (apart.shape[1] * (apart.shape[1] - 1))
