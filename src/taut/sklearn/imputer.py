"""`Imputer`: missing cells as a fitted model expects them, or draws them, given the observed ones."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from taut.sklearn.abstract import seed_of
from taut.sklearn.callback_tasks import with_callbacks
from taut.sklearn.parameters import check_parameters, flag
from taut.sklearn.tables import TableForm, completed, in_form
from taut.sklearn.upon_model import AbstractUponModel

__all__ = ["Imputer"]


class Imputer(OneToOneFeatureMixin, TransformerMixin, AbstractUponModel):
    """Fills missing cells with E[x_missing | x_observed] under a model that was fitted with the holes.

    Arguments:
        estimator: an estimator of `taut.sklearn` that fits a model; None for `Mixture()`, a Gaussian. Of
            `Mixture(columns="mixed")` the rows may be a frame with text and holes, in which a missing
            category becomes the most probable one.
        sample_posterior: draw the cells of a row together instead, for multiple imputation.
        random_state: seed or generator of the draws, and of the estimator unless None.

    Attributes:
        estimator_: the estimator that was fitted, whose `fit_.impute` has standard deviations, too.
    """

    def __init__(
        self, estimator: Any = None, *, sample_posterior: Any = False, random_state: Any = None
    ):
        self.estimator = estimator
        self.sample_posterior = sample_posterior
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "Imputer":
        """Fit the estimator to X, (N, D), with its holes; y is not looked at.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        check_parameters(self, {"sample_posterior": flag()})
        self._fit_estimator(X, y)[1].finish()
        return self

    def transform(self, X: Any) -> Any:
        """The rows with a value in every cell, in the form of X; observed cells are as they were."""
        x = self.estimator_._rows(self._rows(X))
        missing = np.isnan(x)
        holed = missing.any(axis=1)
        if holed.any():
            x = x.copy()
            x[holed] = np.where(missing[holed], self._filled(x[holed]), x[holed])
        if not self._takes_tables:
            return x
        return completed(X, in_form(x, self.estimator_.fit_.schema, TableForm.of(X)), missing)

    def _filled(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
        """The rows as the model fills them."""
        draws = int(self.sample_posterior)
        seed = seed_of(self.random_state) if draws else 0
        found = self.estimator_.fit_.impute(x, draws=draws, key=seed)
        return found.draws[0] if draws else found.mean
