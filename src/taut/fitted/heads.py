"""Heads: what predicts a target from the latent features of rows, the model M1.

    classes    log p(y = c | x) = (w_c . u + b_c) / T + const,     u = (z(x) - mean) / scale
    numbers    y | x ~ Normal(w . u + b, s^2)

z(x) is the mean of q(z | x), learned from all rows; the head sees those with a label. All features have
one scale, so that latents whose means are alike in all rows stay small. The penalty is the
one under which held-out labels are most probable, and then T, or s, is what makes them most probable; of
T with a log-normal prior around 1, as a few rows leave it open.

Sources: Kingma, Mohamed, Rezende and Welling, Semi-supervised learning with deep generative models
(2014), section 2.1; Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks (2017),
section 4.2.
"""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "LogisticHead",
    "RidgeHead",
    "best_temperature",
    "log_softmax",
    "logistic_head",
    "ridge_head",
]

_PENALTIES = tuple(10.0**k for k in range(-3, 5))
_MEDIUM = 1.0  # where no row is held out to choose one by
_TEMPERATURE_DEVIATION = 0.5  # of the prior of log T
_COLDEST, _HOTTEST = math.log(1 / 20), math.log(20)


class LogisticHead(NamedTuple):
    """Multinomial logistic regression.

    Attributes:
        mean, scale: of the features, (d,) and ().
        weights: (d, C).
        offset: (C,).
        temperature: T, ().
    """

    mean: Any
    scale: Any
    weights: Any
    offset: Any
    temperature: Any

    def logits(self, z: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N C"]:
        """Log-probabilities of the classes but for a constant, with temperature 1."""
        return ((z - self.mean) / self.scale) @ self.weights + self.offset


class RidgeHead(NamedTuple):
    """Linear regression with a ridge.

    Attributes:
        mean, scale: of the features, (d,) and ().
        weights: (d,).
        offset, deviation: b and s, ().
    """

    mean: Any
    scale: Any
    weights: Any
    offset: Any
    deviation: Any

    def means(self, z: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """E[y given x]."""
        return ((z - self.mean) / self.scale) @ self.weights + self.offset


def logistic_head(
    z: Float[np.ndarray, "N d"],
    codes: Int[np.ndarray, " N"],
    held: tuple[Float[np.ndarray, "M d"], Int[np.ndarray, " M"]],
    num_classes: int,
) -> LogisticHead:
    """The head of labelled rows.

    Arguments:
        z: their features.
        codes: their classes, two or more different ones.
        held: features and classes of held-out rows, perhaps none.
        num_classes: C; the log-odds of a class that no row has are those of half a row among all.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = _moments(z)
    candidates = []
    for penalty in _PENALTIES if len(held[1]) else (_MEDIUM,):
        estimator: Any = LogisticRegression(C=1 / penalty, max_iter=2000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # held-out rows say what an unfinished ascent is worth
            estimator.fit((z - mean) / scale, codes)
        weights, offset = estimator.coef_.T, estimator.intercept_
        if weights.shape[1] == 1:  # the log-odds of the second class
            weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
            offset = np.concatenate([np.zeros_like(offset), offset])
        every = np.zeros((z.shape[1], num_classes))
        base = np.full(num_classes, -math.log(2 * len(z)))
        every[:, estimator.classes_], base[estimator.classes_] = weights, offset
        head = LogisticHead(mean, scale, every, base, np.asarray(1.0))
        nll = -_log_likelihood(head.logits(held[0]), held[1], 1.0) if len(held[1]) else 0.0
        candidates.append((nll, head))
    best = min(candidates, key=lambda pair: pair[0])[1]
    return best._replace(temperature=best_temperature(best.logits(held[0]), held[1]))


def ridge_head(
    z: Float[np.ndarray, "N d"],
    y: Float[np.ndarray, " N"],
    held: tuple[Float[np.ndarray, "M d"], Float[np.ndarray, " M"]],
) -> RidgeHead:
    """The head of rows with numbers; arguments as of `logistic_head`."""
    from sklearn.linear_model import Ridge

    mean, scale = _moments(z)
    unit = float(y.std()) or 1.0
    judged = held if len(held[1]) > 1 else (z, y)
    candidates = []
    for penalty in _PENALTIES if len(held[1]) > 1 else (_MEDIUM,):
        estimator: Any = Ridge(alpha=penalty).fit((z - mean) / scale, y / unit)
        head = RidgeHead(
            mean, scale, estimator.coef_ * unit, np.asarray(estimator.intercept_ * unit), np.asarray(1.0)
        )  # fmt: skip
        error = float(np.mean((head.means(judged[0]) - judged[1]) ** 2))
        candidates.append((error, head))
    error, best = min(candidates, key=lambda pair: pair[0])
    return best._replace(deviation=np.asarray(max(math.sqrt(error), 1e-6 * unit)))


def best_temperature(
    logits: Float[np.ndarray, "N C"], codes: Int[np.ndarray, " N"]
) -> Float[np.ndarray, ""]:
    """T under which the classes of held-out rows are most probable, given its prior; 1 without rows."""
    from scipy.optimize import minimize_scalar

    if not len(codes):
        return np.asarray(1.0)

    def loss(log_t: float) -> float:
        prior = 0.5 * (log_t / _TEMPERATURE_DEVIATION) ** 2
        return prior - len(codes) * _log_likelihood(logits, codes, math.exp(log_t))

    found = minimize_scalar(loss, bounds=(_COLDEST, _HOTTEST), method="bounded")
    return np.asarray(math.exp(float(found.x)))  # pyright: ignore[reportAttributeAccessIssue]


def log_softmax(logits: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
    """Log-probabilities of the classes."""
    above = logits - logits.max(axis=1, keepdims=True)
    return above - np.log(np.exp(above).sum(axis=1, keepdims=True))


def _log_likelihood(logits: np.ndarray, codes: np.ndarray, temperature: float) -> float:
    """Mean log-probability of the classes."""
    return float(log_softmax(logits / temperature)[np.arange(len(codes)), codes].mean())


def _moments(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each feature, and one scale for all of them: their unit is that of the prior."""
    return z.mean(axis=0), np.asarray(math.sqrt(z.var(axis=0).mean()) or 1.0)
