"""`FactorModel`: factor analysis and probabilistic PCA by exact EM."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from taut.architectures import FA, PPCA
from taut.data import Data
from taut.inference import EM
from taut.sklearn.abstract import AbstractEstimator, seed_of
from taut.sklearn.callback_tasks import FitTask, with_callbacks
from taut.sklearn.exact import described, drawn, fitted_to_all, with_cells
from taut.sklearn.parameters import Parameter, choice, flag, number, whole
from taut.sklearn.rows import rows_alike

__all__ = ["FactorModel"]

_MODELS = {"fa": FA, "ppca": PPCA}


class FactorModel(AbstractEstimator):
    """A few normal factors and noise in each column, fitted to every row by EM in float64.

        x | z ~ N(W z + mu, diag(psi)),    z ~ N(0, I)

    The log-likelihood of each row is exact, and NaN is a cell that was not observed.

    Arguments:
        n_components: number of factors, fewer than columns; None for 4, or as many as can be.
        model: `fa`, factor analysis, whose noise has a variance for each column, or `ppca`,
            probabilistic PCA, with one for all.
        tol: EM stops when fewer nats per row remain to be gained; None for 1e-6.
        max_iter: largest number of iterations; None for 20000.
        warm_start: start from the model that is there instead of random loadings.
        random_state: seed or generator of the start and of `sample`.

    Attributes:
        fit_: the fitted model, a `taut.Fit`.
        components_: W transposed, (d, D), data units; identified up to a rotation of the factors.
        mean_: mu, (D,).
        noise_variance_: psi, (D,), or () of `ppca`; 0 of a constant column.
        converged_: whether EM came to its end.
        n_iter_: iterations.
        loglike_: mean log-likelihood of the rows that were fitted, exact, before the first and after
            every iteration; nats per row.

    Example:
        ```python
        factors = FactorModel(2, random_state=0).fit_transform(X)
        ```
    """

    names: ClassVar[Mapping[str, str]] = {
        "components": "n_components", "tolerance": "tol", "max_iterations": "max_iter",
    }  # fmt: skip

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_components": whole(1, 2, optional=True),
        "model": choice(_MODELS),
        "tol": number(0, 1e-6, optional=True),
        "max_iter": whole(1, 1000, optional=True),
        "warm_start": flag(),
    }

    def __init__(
        self,
        n_components: Any = None,
        *,
        model: Any = "fa",
        tol: Any = None,
        max_iter: Any = None,
        warm_start: Any = False,
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.model = model
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "FactorModel":
        """Fit all rows of X, (N, D); y is not looked at.

        Arguments:
            X: the rows.
            y: nothing.
            sample_weight: how often each row counts, (N,): a weight of 2 is the row twice, 0 is none.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        x = self._training_rows(X, ensure_min_features=2)
        weight = self._weights(sample_weight, x)
        if weight is not None and (weight == 1).all():
            weight = None
        start = self._model if self.warm_start and hasattr(self, "fit_") else None
        task = FitTask(self, X, y, sample_weight=sample_weight)
        with self._told():
            data = rows_alike(x, self._column_names, "real", weight)
            self.fit_ = fitted_to_all(
                data, self._architecture(data),
                EM(tolerance=self.tol, max_iterations=self.max_iter),
                seed=seed_of(self.random_state), start=start, weight=weight,
                watch=self._watched(task) if task.heard else None,
            )  # fmt: skip
        self._show()
        task.finish()
        return self

    def sample(self, n_samples: int = 1) -> Float[np.ndarray, "N D"]:
        """Draws of rows, (n_samples, D)."""
        check_is_fitted(self)
        with self._told():
            return drawn(self.fit_, n_samples, seed=seed_of(self.random_state))[0]

    def get_covariance(self) -> Float[np.ndarray, "D D"]:
        """W W^T + diag(psi), (D, D); 0 of a constant column."""
        check_is_fitted(self)
        noise = np.array(np.broadcast_to(self.noise_variance_, self.mean_.shape))
        noise[[cell for cell, _ in self._model.constants]] = 0.0
        return self.components_.T @ self.components_ + np.diag(noise)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _described(
        self, x: Float[np.ndarray, "N D"]
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N d"]]:
        with self._told():
            return described(self.fit_, x)

    def _architecture(self, data: Data) -> FA | PPCA:
        kind = _MODELS[self.model]
        if self.n_components is not None:
            return kind(components=self.n_components)
        x = data.train.read(0, len(data.train)).x
        varying = int(np.sum(np.fmin.reduce(x) < np.fmax.reduce(x)))
        return kind(components=max(1, min(kind.components, varying - 1)))

    def _show(self) -> None:
        """Set the attributes that people read."""
        model = self._model
        nothing = [(cell, 0.0) for cell, _ in model.constants]
        self.mean_ = with_cells(np.asarray(model.center), model.constants)
        self.components_ = with_cells(np.asarray(model.loadings).T, nothing)
        noise = np.asarray(model.noise)
        self.noise_variance_ = noise[0] if self.model == "ppca" else with_cells(noise, nothing)
        facts: Any = self.fit_.facts
        self.converged_, self.n_iter_ = facts.em.converged, facts.steps
        self.loglike_ = np.asarray([step["bound"] for step in self.fit_.history])
