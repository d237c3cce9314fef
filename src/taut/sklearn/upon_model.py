"""`AbstractUponModel`: estimators that put another one, which fits a model, to work."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from taut.core import InputError
from taut.sklearn.abstract import AbstractEstimator
from taut.sklearn.callback_tasks import CallbackSupport, FitTask
from taut.sklearn.mixture import Mixture
from taut.sklearn.tables import checked_table

__all__ = ["AbstractUponModel"]


class AbstractUponModel(CallbackSupport, BaseEstimator):
    """An estimator upon a fitted model.

    Attributes:
        estimator_: the estimator that was fitted.
        n_features_in_: columns of the rows that were fitted.
        feature_names_in_: their names, where the rows had names.
    """

    estimator: Any
    random_state: Any
    estimator_: AbstractEstimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = getattr(self.estimator, "holes", True)
        tags.input_tags.string = tags.input_tags.categorical = self._takes_tables
        return tags

    @property
    def _takes_tables(self) -> bool:
        """Whether frames with text go to the estimator as they are; else rows are numbers."""
        return isinstance(self.estimator, Mixture) and self.estimator.columns == "mixed"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def _fit_estimator(self, X: Any, y: Any) -> tuple[Any, FitTask]:
        """Fit a copy of the estimator, or the default: its rows, and the task to finish."""
        x = self._checked(X, reset=True, ensure_min_samples=2)
        wanted = self._default(len(x)) if self.estimator is None else self.estimator
        if not isinstance(wanted, AbstractEstimator):
            raise InputError(
                "an estimator of taut.sklearn that fits a model, or None", f"{wanted!r}",
                "Mixture(3)", where=f"{type(self).__name__}, estimator",
            )  # fmt: skip
        estimator: Any = clone(wanted)
        if self.random_state is not None:
            estimator.set_params(random_state=self.random_state)
        task = FitTask(self, X, y, subtasks=1)
        with task.of(estimator):
            self.estimator_ = estimator.fit(x, y)
        return x, task

    def _default(self, num_rows: int) -> Mixture:
        """What is fitted where no estimator is given: a Gaussian."""
        return Mixture()

    def _rows(self, X: Any) -> Any:
        """Rows of the columns that were fitted."""
        check_is_fitted(self)
        return self._checked(X, reset=False)

    def _checked(self, X: Any, *, reset: bool, ensure_min_samples: int = 1) -> Any:
        if self._takes_tables:
            names = None if reset else self.estimator_.fit_.schema.columns
            return checked_table(self, X, names=names, least=ensure_min_samples)
        finite = "allow-nan" if getattr(self.estimator, "holes", True) else True
        x: Any = validate_data(
            self, X, dtype=np.float64, ensure_all_finite=finite, reset=reset,
            ensure_min_samples=ensure_min_samples,
        )  # fmt: skip
        return x
