"""`Imputer`: missing cells as a fitted model expects them, or draws them, given the observed ones."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from taut.sklearn.abstract import seed_of
from taut.sklearn.callback_tasks import with_callbacks
from taut.sklearn.parameters import check_parameters, flag
from taut.sklearn.tables import TableForm, checked_table, coded_rows, in_form
from taut.sklearn.upon_model import AbstractUponModel

__all__ = ["Imputer"]


class Imputer(OneToOneFeatureMixin, TransformerMixin, AbstractUponModel):
    """Fills NaN with E[x_missing | x_observed] under a model that was fitted with the holes.

    Arguments:
        estimator: an estimator of `taut.sklearn` that fits a model; None for `Mixture()`, a Gaussian.
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

    def transform(self, X: Any) -> Float[np.ndarray, "N D"]:
        """The rows with a value in every cell; rows without holes are as they were."""
        x = self._rows(X).copy()
        holed = np.isnan(x).any(axis=1)
        if holed.any():
            x[holed] = np.where(np.isnan(x[holed]), self._filled(x[holed]), x[holed])
        return x

    def _filled(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
        """The rows as the model fills them, of which categories are numbers in the model's own order."""
        fit = self.estimator_.fit_
        by_column = fit.schema.kinds is not None
        given = x
        if by_column:
            table = checked_table(self.estimator_, x, names=fit.schema.columns)
            given = coded_rows(table, fit.schema)
        draws = int(self.sample_posterior)
        seed = seed_of(self.random_state) if draws else 0
        found = fit.impute(given, draws=draws, key=seed)
        filled = found.draws[0] if draws else found.mean
        return in_form(filled, fit.schema, TableForm.of(x)) if by_column else filled
