"""`Mixture`: Gaussian mixtures and latent classes by exact EM."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils.validation import check_is_fitted

from taut.architectures import GMM, LCA
from taut.core import InputError
from taut.inference import EM
from taut.models.exact import COVARIANCES, LatentClass
from taut.sklearn.abstract import AbstractEstimator, seed_of
from taut.sklearn.exact import described, drawn, fitted_to_all, with_cells
from taut.sklearn.parameters import Parameter, choice, flag, number, whole

__all__ = ["Mixture"]


class Mixture(AbstractEstimator):
    """A mixture of Gaussians, or of tables of codes, fitted to every row by EM in float64.

    The log-likelihood of each row is exact, NaN is a cell that was not observed, and no constant has to
    be added to covariances. The parameters are those of `sklearn.mixture.GaussianMixture` where it has
    them.

    Arguments:
        n_components: number of components.
        columns: `numbers`, which each component has a Gaussian for, or `codes`, such as binary answers,
            which it has a table for: latent class analysis.
        covariance_type: of numbers: `full`, `tied` (one for all components), `diag`, or `spherical`.
        n_init: k-means starts, the best of which is kept; None for 4.
        tol: EM stops when fewer nats per row remain to be gained; None for 1e-4.
        max_iter: largest number of iterations of each start; None for 1000.
        floor: the least variance in each column as a share of the column's own, or of codes
            pseudo-rows of every value; None for the variance that the column's rounding leaves unknown,
            and 1 of codes.
        reg_covar: added to the diagonals of covariances instead, in squared units of the data.
        warm_start: start from the model that is there instead of k-means.
        random_state: seed or generator of the starts and of `sample`.

    Attributes:
        fit_: the fitted model, a `taut.Fit`.
        weights_: of the components, (K,).
        means_: (K, D), data units.
        covariances_: of numbers, of the shape that `GaussianMixture` has; 0 of constant columns.
        converged_: whether EM came to its end.
        n_iter_: iterations of the start that was kept.
        lower_bound_: mean log-likelihood of the rows that were fitted, exact; nats per row.

    The k-means starts look at the rows that differ, with their weights, so that a row of weight 2 and
    one that occurs twice have the same fit, in whatever order rows come.

    Example:
        ```python
        labels = Mixture(3, random_state=0).fit_predict(X)
        ```
    """

    names: ClassVar[Mapping[str, str]] = {
        "components": "n_components",
        "covariance": "covariance_type",
        "model": "taut.sklearn.FactorModel, model",
        "restarts": "n_init",
        "tolerance": "tol",
        "max_iterations": "max_iter",
    }

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_components": whole(1, 2),
        "columns": choice(("numbers", "codes")),
        "covariance_type": choice(COVARIANCES),
        "n_init": whole(1, 4, optional=True),
        "tol": number(0, 1e-4, optional=True),
        "max_iter": whole(1, 1000, optional=True),
        "floor": number(0, 1e-6, optional=True),
        "reg_covar": number(0, 1e-6),
        "warm_start": flag(),
    }

    weights_: Float[np.ndarray, " K"]
    means_: Float[np.ndarray, "K D"]

    def __init__(
        self,
        n_components: Any = 1,
        *,
        columns: Any = "numbers",
        covariance_type: Any = "full",
        n_init: Any = None,
        tol: Any = None,
        max_iter: Any = None,
        floor: Any = None,
        reg_covar: Any = 0.0,
        warm_start: Any = False,
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.columns = columns
        self.covariance_type = covariance_type
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.floor = floor
        self.reg_covar = reg_covar
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "Mixture":
        """Fit all rows of X, (N, D); y is not looked at.

        Arguments:
            X: the rows.
            y: nothing.
            sample_weight: how often each row counts, (N,): a weight of 2 is the row twice, 0 is none.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        x = self._training_rows(X)
        weight = self._weights(sample_weight, x)
        if self.columns == "codes":
            _check_codes(x)
        start = self._model if self.warm_start and hasattr(self, "fit_") else None
        with self._told():
            self.fit_ = fitted_to_all(
                x, self._architecture(),
                EM(
                    restarts=self.n_init, tolerance=self.tol, max_iterations=self.max_iter,
                    floor=self.floor, reg_covar=self.reg_covar,
                ),
                columns=self._column_names, support="real" if self.columns == "numbers" else "count",
                seed=seed_of(self.random_state), start=start,
                weight=np.ones(len(x)) if weight is None else weight,
            )  # fmt: skip
        self._show()
        return self

    def predict(self, X: Any) -> Int[np.ndarray, " N"]:
        """The most probable component of every row, (N,)."""
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> Int[np.ndarray, " N"]:
        """`fit(X).predict(X)`."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N K"]:
        """p(component | row), (N, K); what `transform` gives, too."""
        return self._described(self._rows(X))[1]

    def sample(self, n_samples: int = 1) -> tuple[Float[np.ndarray, "N D"], Int[np.ndarray, " N"]]:
        """Draws of rows, (n_samples, D), and the components that they came from, (n_samples,)."""
        check_is_fitted(self)
        with self._told():
            x, z = drawn(self.fit_, n_samples, seed=seed_of(self.random_state))
        return x, z.argmax(axis=1)

    def bic(self, X: Any) -> float:
        """The Bayesian information criterion of rows, nats times two; lower is better."""
        found = self.score_samples(X)
        return float(-2 * found.sum() + self._model.num_parameters * np.log(len(found)))

    def aic(self, X: Any) -> float:
        """The Akaike information criterion of rows, nats times two; lower is better."""
        return float(-2 * self.score_samples(X).sum() + 2 * self._model.num_parameters)

    @property
    def _n_features_out(self) -> int:
        return len(self.weights_)

    def _described(
        self, x: Float[np.ndarray, "N D"]
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N d"]]:
        with self._told():
            return described(self.fit_, x)

    def _architecture(self) -> GMM | LCA:
        if self.columns == "codes":
            return LCA(components=self.n_components)
        return GMM(components=self.n_components, covariance=self.covariance_type)

    def _show(self) -> None:
        """Set the attributes that people read."""
        model = self._model
        facts: Any = self.fit_.facts
        logits = np.asarray(model.logits)
        self.weights_ = np.exp(logits - np.logaddexp.reduce(logits))
        self.converged_, self.n_iter_ = facts.em.converged, facts.steps
        self.lower_bound_ = self.fit_.history[-1]["bound"]
        if isinstance(model, LatentClass):
            self.means_ = (np.exp(np.asarray(model.log_theta)) * np.asarray(model.values())).sum(2)
            return
        scale, nothing = np.asarray(model.scale), [(cell, 0.0) for cell, _ in model.constants]
        spread = scale @ np.swapaxes(scale, -1, -2) if model.covariance.correlated else scale**2
        if model.kind != "spherical":
            spread = with_cells(spread, nothing)
        if model.covariance.correlated:
            spread = with_cells(spread.swapaxes(-1, -2), nothing)
        self.means_ = with_cells(np.asarray(model.means), model.constants)
        self.covariances_ = spread


def _check_codes(x: Float[np.ndarray, "N D"]) -> None:
    """Refuse cells that are no codes, by the first of them."""
    odd = np.argwhere(~np.isnan(x) & ((x < 0) | (x != np.rint(x))))
    if odd.size:
        row, column = odd[0]
        raise InputError(
            "codes, whole numbers of at least 0", f"{x[row, column]:g}", 'columns="numbers"',
            where=f"X, row {row}, column {column}",
        )  # fmt: skip
