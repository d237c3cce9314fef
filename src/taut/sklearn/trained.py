"""`AbstractTrained`: estimators whose networks are trained batch by batch."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from taut.recipe import Recipe, recipe_of
from taut.sklearn.abstract import AbstractEstimator, seed_of
from taut.sklearn.amortized import encoded, fitted_by_batches, log_densities
from taut.sklearn.callback_tasks import FitTask, Validations
from taut.sklearn.parameters import Parameter, check_count, choice, share, whole

__all__ = ["TRAINING", "AbstractTrained"]

TRAINING: Mapping[str, Parameter] = {
    "learning_rate": share(1.0, 1e-3),
    "max_epochs": whole(1, 100, optional=True),
    "batch_size": whole(1, 128, optional=True),
    "patience": whole(0, 20),
    "validation_fraction": share(0.5, 0.1),
    "precision": choice(("float32", "float64")),
}
"""What the parameters of training may be."""


class AbstractTrained(AbstractEstimator):
    """Networks, trained on most of the rows until the others stop getting more probable."""

    names: ClassVar[Mapping[str, str]] = {"latent_dim": "n_components", "epochs": "max_epochs"}
    draws: Any = 1

    learning_rate: Any
    max_epochs: Any
    batch_size: Any
    patience: Any
    validation_fraction: Any
    precision: Any
    random_state: Any

    def sample(self, n_samples: int = 1) -> Float[np.ndarray, "N D"]:
        """Draws of rows, (n_samples, D)."""
        check_is_fitted(self)
        check_count(n_samples)
        with self._told():
            return np.asarray(self.fit_.sample(n_samples, key=seed_of(self.random_state)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [self.precision]
        return tags

    @abstractmethod
    def _choices(self, x: Float[np.ndarray, "N D"]) -> dict[str, Any]:
        """The model with its options, by taut's names; None for a default."""

    def _trained(self, X: Any, y: Any) -> None:
        """Fit all rows of X."""
        x = self._training_rows(X)
        task = FitTask(self, X, y)
        with self._told():
            self.fit_ = fitted_by_batches(
                x, self._recipe(x), columns=self._column_names, support=self._support(),
                validation=self.validation_fraction, seed=seed_of(self.random_state),
                callbacks=(Validations(task),) if task.heard else (),
            )  # fmt: skip
        self.n_iter_ = self.fit_.facts.steps
        self._n_features_out_ = encoded(self.fit_, x[:1]).shape[1]
        task.finish()

    def _recipe(self, x: Float[np.ndarray, "N D"], **others: str) -> Recipe:
        """All choices; others than its own where they are given."""
        return recipe_of(
            {
                **self._choices(x), "learning_rate": float(self.learning_rate),
                "epochs": self.max_epochs, "batch_size": self._batch(len(x)),
                "patience": self.patience, "precision": self.precision, **others,
            }
        )  # fmt: skip

    def _support(self) -> str | None:
        """What values the columns have; inferred when None."""
        return None

    def _batch(self, num_rows: int) -> int | None:
        """Rows of a batch, fewer where there are fewer."""
        least = max(1, num_rows - max(1, round(self.validation_fraction * num_rows)))
        return None if self.batch_size is None else min(self.batch_size, least)

    @property
    def _n_features_out(self) -> int:
        return self._n_features_out_

    def transform(self, X: Any) -> Any:
        """The mean of q(z | x) of every row, (N, d)."""
        x = self._rows(X)
        with self._told():
            return encoded(self.fit_, x)

    def _described(self, x: Float[np.ndarray, "N D"]) -> Any:
        with self._told():
            return log_densities(self.fit_, x, draws=self.draws).astype(np.float64), None
