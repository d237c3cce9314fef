"""`AnomalyDetector`: rows that are improbable under a fitted model."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import OutlierMixin

from taut.sklearn.callback_tasks import with_callbacks
from taut.sklearn.parameters import check_parameters, share
from taut.sklearn.upon_model import AbstractUponModel

__all__ = ["AnomalyDetector"]


class AnomalyDetector(OutlierMixin, AbstractUponModel):
    """Calls the least probable rows outliers, -1, and the others inliers, 1.

    Arguments:
        estimator: an estimator of `taut.sklearn` that fits a model; None for `Mixture()`, a Gaussian. Of
            `Mixture(columns="mixed")` the rows may be a frame with text and holes.
        contamination: the share of the rows that are fitted which are outliers, above 0 and at most .5.
        random_state: that of the estimator, unless None.

    Attributes:
        estimator_: the estimator that was fitted.
        offset_: the log-density, nats, below which a row is an outlier: the quantile of `contamination`
            among the rows that were fitted. Rows are a little more probable to a model that they were
            fitted to than others are.
    """

    def __init__(
        self, estimator: Any = None, *, contamination: Any = 0.1, random_state: Any = None
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "AnomalyDetector":
        """Fit the estimator to X, (N, D), outliers among them; y is not looked at.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        check_parameters(self, {"contamination": share(0.5, 0.1)})
        x, task = self._fit_estimator(X, y)
        self.offset_ = np.percentile(self.estimator_.score_samples(x), 100 * self.contamination)
        task.finish()
        return self

    def score_samples(self, X: Any) -> Float[np.ndarray, " N"]:
        """log p(x) of every row, (N,), nats; lower is odder."""
        x = self._rows(X)
        return self.estimator_.score_samples(x)

    def decision_function(self, X: Any) -> Float[np.ndarray, " N"]:
        """`score_samples` less `offset_`, (N,), nats: below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Int[np.ndarray, " N"]:
        """-1 for outliers and 1 for inliers, (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)
