"""`Mixture`: mixtures of Gaussians, of tables of codes, and of columns of several kinds, by exact EM."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils.validation import check_is_fitted

from taut.architectures import GMM, LCA, Mixed
from taut.core import InputError
from taut.data import Data
from taut.inference import EM
from taut.models.exact import COVARIANCES, ColumnMixture, LatentClass
from taut.sklearn.abstract import AbstractEstimator, seed_of
from taut.sklearn.callback_tasks import FitTask, with_callbacks
from taut.sklearn.exact import described, drawn, fitted_to_all, profiles, with_cells
from taut.sklearn.parameters import Parameter, check_parameters, choice, flag, number, whole
from taut.sklearn.rows import rows_alike, rows_by_column
from taut.sklearn.tables import TableForm, checked_table, coded_rows, in_form

__all__ = ["Mixture"]


class Mixture(AbstractEstimator):
    """A mixture of Gaussians, of tables of codes, or of columns of several kinds, by EM in float64.

    Every row is fitted to. The log-likelihood of each is exact, NaN is a cell that was not observed,
    and no constant has to be added to covariances. The parameters are those of
    `sklearn.mixture.GaussianMixture` where it has them.

    Arguments:
        n_components: number of components.
        columns: `numbers`, which each component has a Gaussian for; `codes`, such as binary answers,
            which it has a table for: latent class analysis; or `mixed`, columns that are independent
            given the component, each with the family of its kind: numbers, positive numbers with a long
            tail, counts, yes and no, categories, dates. `X` may then be a frame with text and holes.
        covariance_type: of numbers: `full`, `tied` (one for all components), `diag`, or `spherical`.
        kind: of mixed columns, what their values do not show, such as `{"age": "count"}` or
            `{"size": {"levels": ["S", "M", "L"]}}`; see `taut.load_data`.
        n_init: k-means starts, the best of which is kept; None for 4.
        tol: EM stops when fewer nats per row remain to be gained; None for 1e-4.
        max_iter: largest number of iterations of each start; None for 1000.
        floor: the least variance in each column as a share of the column's own, or of codes
            pseudo-rows of every value, and of mixed columns pseudo-rows spread as the columns are; None
            for the variance that the column's rounding leaves unknown, and 1 of codes and mixed columns.
        reg_covar: added to the diagonals of covariances instead, in squared units of the data.
        warm_start: start from the model that is there instead of k-means.
        random_state: seed or generator of the starts and of `sample`.

    Attributes:
        fit_: the fitted model, a `taut.Fit`.
        weights_: of the components, (K,).
        means_: (K, D), data units; of a category the code of the most probable one.
        covariances_: of numbers, of the shape that `GaussianMixture` has; 0 of constant columns.
        profiles_: of mixed columns, every parameter by its name, such as `p(color=red)`, (K,) each;
            names that two columns would share have the place of the column, too.
        converged_: whether EM came to its end.
        n_iter_: iterations of the start that was kept.
        lower_bound_: mean log-likelihood of the rows that were fitted, exact; nats per row.

    The k-means starts look at the rows that differ, with their weights, so that a row of weight 2 and
    one that occurs twice have the same fit, in whatever order rows come; and so do the kinds of mixed
    columns. Of these, `sample` and `inverse_transform` give a table like the one that was fitted, with
    the same library and types, and a category that was not fitted is refused.

    Example:
        ```python
        labels = Mixture(3, random_state=0).fit_predict(X)
        ```
    """

    names: ClassVar[Mapping[str, str]] = {
        "components": "n_components",
        "covariance": "covariance_type",
        "drop": "X.drop",
        "model": "taut.sklearn.FactorModel, model",
        "restarts": "n_init",
        "tolerance": "tol",
        "max_iterations": "max_iter",
    }

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_components": whole(1, 2),
        "columns": choice(("numbers", "codes", "mixed")),
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
    _form: TableForm

    def __init__(
        self,
        n_components: Any = 1,
        *,
        columns: Any = "numbers",
        covariance_type: Any = "full",
        kind: Any = None,
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
        self.kind = kind
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.floor = floor
        self.reg_covar = reg_covar
        self.warm_start = warm_start
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "Mixture":
        """Fit all rows of X, (N, D); y is not looked at.

        Arguments:
            X: the rows.
            y: nothing.
            sample_weight: how often each row counts, (N,): a weight of 2 is the row twice, 0 is none.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        check_parameters(self, self.parameters)
        if self.kind is not None and self.columns != "mixed":
            raise InputError(
                'no kinds of columns beside columns="mixed"', f"kind={self.kind!r}", 'columns="mixed"',
                where="Mixture, kind",
            )  # fmt: skip
        table = self._table(X, least=2)
        weight = self._weights(sample_weight, table)
        weight = np.ones(len(table)) if weight is None else weight
        start = self._model if self.warm_start and hasattr(self, "fit_") else None
        task = FitTask(self, X, y, sample_weight=sample_weight)
        if self.columns == "mixed":
            self._form = TableForm.of(X)
        with self._told():
            self.fit_ = fitted_to_all(
                self._data(table, weight), self._architecture(),
                EM(
                    restarts=self.n_init, tolerance=self.tol, max_iterations=self.max_iter,
                    floor=self.floor, reg_covar=self.reg_covar,
                ),
                seed=seed_of(self.random_state), start=start, weight=weight,
                watch=self._watched(task) if task.heard else None,
            )  # fmt: skip
        self._show()
        task.finish()
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

    def inverse_transform(self, X: Any) -> Any:
        """E[x | z] of every latent, (N, D), in the data's units; of a category the most probable one."""
        return self._as_came(super().inverse_transform(X))

    def sample(self, n_samples: int = 1) -> tuple[Any, Int[np.ndarray, " N"]]:
        """Draws of rows, (n_samples, D), and the components that they came from, (n_samples,)."""
        check_is_fitted(self)
        with self._told():
            x, z = drawn(self.fit_, n_samples, seed=seed_of(self.random_state))
        return self._as_came(x), z.argmax(axis=1)

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = self.columns == "mixed"
        return tags

    def _rows(self, X: Any) -> Float[np.ndarray, "N D"]:
        check_is_fitted(self)
        if not self._by_column:
            return super()._rows(X)
        schema = self.fit_.schema
        frame = checked_table(self, X, names=schema.columns)
        with self._told():
            return coded_rows(frame, schema)

    def _table(self, X: Any, *, least: int) -> Any:
        """The rows to fit, whose columns are the estimator's from now on: a frame of mixed columns."""
        if self.columns == "mixed":
            return checked_table(self, X, least=least)
        return self._checked(X, reset=True, ensure_min_samples=least)

    def _data(self, table: Any, weight: Float[np.ndarray, " N"]) -> Data:
        if self.columns == "mixed":
            return rows_by_column(table, () if self.kind is None else self.kind, weight)
        if self.columns == "codes":
            _check_codes(table, weight)
        support = "real" if self.columns == "numbers" else "count"
        return rows_alike(table, self._column_names, support, weight)

    @property
    def _by_column(self) -> bool:
        """Whether the model that was fitted has columns of several kinds."""
        return isinstance(self.fit_.architecture, Mixed)

    def _as_came(self, x: Float[np.ndarray, "N D"]) -> Any:
        return in_form(x, self.fit_.schema, self._form) if self._by_column else x

    def _architecture(self) -> GMM | LCA | Mixed:
        if self.columns == "mixed":
            return Mixed(components=self.n_components)
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
        if isinstance(model, ColumnMixture):
            self.means_ = np.asarray(self.fit_.decode(np.eye(model.num_components)), np.float64)
            self.profiles_ = profiles(self.fit_)
            return
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


def _check_codes(x: Float[np.ndarray, "N D"], weight: Float[np.ndarray, " N"]) -> None:
    """Refuse cells of rows that count and that are no codes, by the first of them."""
    known = ~np.isnan(x) & (weight > 0)[:, None]
    odd = np.argwhere(known & ((x < 0) | (x != np.rint(x))))
    if odd.size:
        row, column = odd[0]
        raise InputError(
            "codes, whole numbers of at least 0", f"{x[row, column]:g}", 'columns="numbers"',
            where=f"X, row {row}, column {column}",
        )  # fmt: skip
