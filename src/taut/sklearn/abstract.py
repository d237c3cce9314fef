"""`AbstractEstimator`: what every estimator of a latent-variable model has in common.

    transform            mean of q(z | x)                    inverse_transform    E[x | z]
    score_samples        log p(x), nats per row              score                its mean over rows

The parameters are those of scikit-learn where it has them, and the whole of a fitted model is the `Fit`
in `fit_`. A pickle holds it as the files of a run folder, arrays as safetensors and structure as JSON.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from taut.core import InputError, TautError
from taut.fitted import Fit
from taut.program_cache import compilation_cache
from taut.sklearn.callback_tasks import CallbackSupport, FitTask
from taut.sklearn.holds_fit import HoldsFit
from taut.sklearn.parameters import Parameter, check_parameters

__all__ = ["AbstractEstimator", "seed_of"]


class AbstractEstimator(
    HoldsFit,
    CallbackSupport,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
):
    """An estimator whose fitted model is a `Fit`.

    Attributes:
        fit_: the fitted model, which `taut.load` reads back once `fit_.save(folder)` wrote it.
        n_features_in_: columns of the rows that were fitted.
        feature_names_in_: their names, where the rows had names.
    """

    names: ClassVar[Mapping[str, str]]
    """This estimator's name of an option of taut, where it differs."""
    parameters: ClassVar[Mapping[str, Parameter]]
    """What each parameter may be; that of `random_state` is NumPy's business."""
    holes: ClassVar[bool] = True
    """Whether NaN is a cell that was not observed."""

    fit_: Fit

    @abstractmethod
    def _described(
        self, x: Float[np.ndarray, "N D"]
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N d"]]:
        """log p(x) of every row, nats, and the mean of q(z | x)."""

    def transform(self, X: Any) -> Any:
        """The mean of q(z | x) of every row, (N, d)."""
        return self._described(self._rows(X))[1]

    def inverse_transform(self, X: Any) -> Any:
        """E[x | z] of every latent, (N, D), in the data's units."""
        check_is_fitted(self)
        kind: Any = np.float64
        z = check_array(X, dtype=kind, input_name="X")
        if z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {z.shape[1]} features, but inverse_transform of {type(self).__name__} takes "
                f"the {self._n_features_out} that transform gives."
            )
        with self._told():
            return np.asarray(self.fit_.decode(z), np.float64)

    def score_samples(self, X: Any) -> Any:
        """log p(x) of every row, (N,), nats; of the observed cells where some are missing."""
        return self._described(self._rows(X))[0]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """The mean of `score_samples`, by the rows' weights where they have some; nats per row."""
        found = self.score_samples(X)
        weight = self._weights(sample_weight, found)
        if weight is None:
            return float(np.mean(found))
        counted = weight != 0  # an impossible row has a log-evidence of -inf
        return float(np.average(found[counted], weights=weight[counted]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.holes
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fit_")

    @property
    def _model(self) -> Any:
        """The fitted model."""
        return self.fit_.model

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """Columns of what `transform` gives."""

    @property
    def _column_names(self) -> tuple[str, ...] | None:
        """Names of the columns that were fitted; None where they had none."""
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(map(str, names))

    def _training_rows(self, X: Any, **checks: Any) -> Float[np.ndarray, "N D"]:
        """The rows to fit, whose columns are the estimator's from now on, and a look at parameters."""
        check_parameters(self, self.parameters)
        return self._checked(X, reset=True, ensure_min_samples=2, **checks)

    def _weights(self, sample_weight: Any, x: Any) -> Float[np.ndarray, " N"] | None:
        """How often each row of an array or a frame counts; None where each does once."""
        if sample_weight is None:
            return None
        kind: Any = np.float64
        weight = np.asarray(_check_sample_weight(sample_weight, x, dtype=kind), kind)
        odd = np.flatnonzero(~(weight >= 0))
        if odd.size or not weight.any():
            raise InputError(
                "weights of at least 0, not all of them zero",
                f"{weight[odd[0]]:g} in row {odd[0]}" if odd.size else "zero weight in every row",
                "how often each row counts", where=f"{type(self).__name__}, sample_weight",
            )  # fmt: skip
        return weight

    def _rows(self, X: Any) -> Float[np.ndarray, "N D"]:
        """Rows of the columns that were fitted."""
        check_is_fitted(self)
        return self._checked(X, reset=False)

    def _checked(self, X: Any, **checks: Any) -> Float[np.ndarray, "N D"]:
        finite = "allow-nan" if self.holes else True
        x: Any = validate_data(self, X, dtype=np.float64, ensure_all_finite=finite, **checks)
        return x

    def _show(self) -> None:
        """Set the attributes that people read, of the model in `fit_`."""

    def _watched(self, task: FitTask) -> Callable[[str, Callable[[], Fit]], bool]:
        """What makes a subtask of every iteration that it is told of."""

        def watch(name: str, made: Callable[[], Fit]) -> bool:
            def attributes() -> dict[str, Any]:
                other = object.__new__(type(self))
                other.__dict__.update(vars(self), fit_=made())
                other._show()
                return {n: v for n, v in vars(other).items() if n.endswith("_")}

            if not task.open:
                task.begin(name)
            return task.end(attributes)

        return watch

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Messages of taut name the estimator's parameters; programs are kept on disk."""
        with compilation_cache():
            try:
                yield
            except TautError as error:
                raise error.calling(self.names) from error


def seed_of(random_state: Any) -> int:
    """The key of a fit: the number itself, or one drawn from a generator of NumPy."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
