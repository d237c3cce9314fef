"""`SemiSupervisedClassifier`: classes by a model of all rows, of which few have one."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from taut.core import InputError, counted
from taut.fitted.class_head import class_head
from taut.fitted.heads import LogisticHead, log_softmax
from taut.fitted.propagation import PropagatedHead
from taut.sklearn.abstract import seed_of
from taut.sklearn.callback_tasks import FitTask, Validations, with_callbacks
from taut.sklearn.holds_fit import HoldsFit
from taut.sklearn.mixture import Mixture
from taut.sklearn.parameters import check_parameters, choice, number
from taut.sklearn.upon_model import AbstractUponModel
from taut.sklearn.vae import VAE
from taut.sklearn.with_target import CHOICES, class_probabilities, fitted_with_classes

__all__ = ["SemiSupervisedClassifier"]

_COMPONENTS, _ROWS = 20, 10  # of the default: at most so many, and so many rows for each
_LEAST_HELD = 5  # labelled rows, with fewer of which nothing is chosen or calibrated


class SemiSupervisedClassifier(ClassifierMixin, HoldsFit, AbstractUponModel):
    """A classifier of rows of which few have a label.

        m1        latent features of a model that sees no label, and logistic regression of them, or
                  their neighbours, whichever makes held-out labels more probable
        m2        a VAE with the class as a latent, which is summed over where it is not known
        m1+m2     that of the latents of a VAE that sees no label
        masked    a VAE of rows and classes alike, whose conditional distribution of the class predicts

    Held-out rows with a label choose the penalty of the regression, and the temperature by which
    probabilities are calibrated. As of the classifiers of `sklearn.semi_supervised`, -1 in `y` stands
    for no label, beside which an array of objects may have None or NaN. NaN in `X` is a cell that was
    not observed, where the estimator takes it.

    Arguments:
        estimator: what is fitted to all rows: a `VAE`, whose networks and training any method has, or of
            m1 others, too, such as `Mixture(20)`, or `Mixture(20, columns="mixed")` of a frame with
            text. None for a `Mixture` of one Gaussian for every ten rows, at most 20, and for `VAE(10)`
            of the other methods.
        method: `m1`, `m2`, `m1+m2` or `masked`.
        validation_fraction: the share of the rows with a label that is held out; 0, or where fewer than
            five rows would be, for none: then the penalty is 1, and so is the temperature.
        random_state: seed or generator of what is held out, and of the estimator; None leaves that to
            the estimator's own.

    Attributes:
        classes_: the classes, (C,).
        estimator_: of m1 the estimator that was fitted, whose `fit_` is a `taut.Fit`.
        head_: of m1 what predicts by the features.
        fit_: of the other methods what was fitted.

    Of `masked` the probabilities are estimates by draws, which depend on the place of a row.

    Example:
        ```python
        model = SemiSupervisedClassifier(Mixture(20)).fit(X, y)  # y is -1 where it is not known
        ```
    """

    classes_: Shaped[np.ndarray, " C"]
    head_: LogisticHead | PropagatedHead

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: Any = "m1",
        validation_fraction: Any = 0.2,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.method = method
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any) -> "SemiSupervisedClassifier":
        """Fit all rows of X, (N, D), and the classes of those that have one in y, (N,).

        Raises:
            ValueError: a parameter, the rows or the labels cannot be used.
        """
        check_parameters(
            self, {"method": choice(("m1", *CHOICES)), "validation_fraction": number(0, 0.2)}
        )
        if self.validation_fraction >= 1:
            raise InputError(
                "a share below 1", f"{self.validation_fraction}", "0.2",
                where="SemiSupervisedClassifier, validation_fraction",
            )  # fmt: skip
        if y is None:
            raise InputError(
                "y, the labels of rows; requires y to be passed, but the target y is None",
                "None", "y with -1 where there is no label", where="SemiSupervisedClassifier",
            )  # fmt: skip
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        known = _labelled(y)
        assert_all_finite(y[known], input_name="y")
        found = np.array(y[known].tolist())
        check_classification_targets(found)
        classes, codes = np.unique(found, return_inverse=True)
        if len(classes) < 2:
            raise InputError(
                "labels of two or more classes",
                f"one class in {counted(int(known.sum()), 'row')}" if len(classes)
                else "no label in any row",
                "more labels; -1 stands for a row without one",
                where="SemiSupervisedClassifier, y",
            )  # fmt: skip
        held = self._held_out(codes)
        if self.method != "m1":
            task = FitTask(self, X, y)
            self._fit_together(X, known, codes, held, task)
            self.classes_ = classes
            task.finish()
            return self
        x, task = self._fit_estimator(X, y)
        z = self._features(x)
        self.classes_ = classes
        rows = np.flatnonzero(known)[held]
        every = np.full(len(z), -1)
        every[known] = np.where(held, -1, codes)
        self.head_ = class_head(z, every, (z[rows], codes[held]), len(classes))
        task.finish()
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N C"]:
        """p(class | row), (N, C), in the order of `classes_`."""
        x = self._rows(X)
        if self.method != "m1":
            return class_probabilities(self.fit_, x)
        z = self._features(x)
        logits = self.head_.logits(z)
        return np.exp(log_softmax(logits / self.head_.temperature))

    def predict(self, X: Any) -> Shaped[np.ndarray, " N"]:
        """The most probable class of every row, (N,)."""
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def _fit_together(
        self,
        X: Any,
        known: Bool[np.ndarray, " N"],
        codes: Int[np.ndarray, " n"],
        held: Bool[np.ndarray, " n"],
        task: FitTask,
    ) -> None:
        """Fit rows and classes by another method than m1."""
        x = self._checked(X, reset=True, ensure_min_samples=2)
        vae: Any = VAE(10) if self.estimator is None else clone(self.estimator)
        if not isinstance(vae, VAE):
            raise InputError(
                f"a VAE of taut.sklearn where the method is {self.method}", f"{vae!r}",
                "VAE(10)", where="SemiSupervisedClassifier, estimator",
            )  # fmt: skip
        check_parameters(vae, vae.parameters)
        every, judges = np.full(len(x), -1), np.zeros(len(x), bool)
        every[known], judges[known] = codes, held
        seed = seed_of(vae.random_state if self.random_state is None else self.random_state)
        others = np.random.default_rng(seed).permutation(np.flatnonzero(~known))
        wanted = max(1, round(vae.validation_fraction * len(x)))
        judges[others[: max(0, wanted - judges.sum())]] = True
        if not judges.any():
            judges[np.flatnonzero(known)[-1]] = True
        with vae._told():
            recipe = vae._recipe(x[~judges], **CHOICES[self.method])
            self.fit_ = fitted_with_classes(
                x, every, judges, recipe, method=self.method, seed=seed,
                callbacks=(Validations(task),) if task.heard else (),
            )  # fmt: skip

    def _default(self, num_rows: int) -> Mixture:
        return Mixture(min(_COMPONENTS, max(1, num_rows // _ROWS)))

    def _features(self, x: Any) -> Float[np.ndarray, "N d"]:
        return np.asarray(self.estimator_.transform(x), np.float64)

    def _held_out(self, codes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which labelled rows choose the penalty: of each class the same share, and never all."""
        generator = np.random.default_rng(seed_of(self.random_state))
        held = np.zeros(len(codes), bool)
        for code in np.unique(codes):
            own = generator.permutation(np.flatnonzero(codes == code))
            held[own[: int(self.validation_fraction * len(own))]] = True
        return held if held.sum() >= _LEAST_HELD else np.zeros(len(codes), bool)


def _labelled(y: Shaped[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Which rows have a label."""
    if y.dtype.kind == "O":
        return np.array([v is not None and v != -1 and v == v for v in y.tolist()], bool)
    if y.dtype.kind in "iuf":
        return (y != -1) & ~np.isnan(y.astype(np.float64))
    return np.ones(len(y), bool)
