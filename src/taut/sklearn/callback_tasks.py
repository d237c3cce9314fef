"""What a fit tells the callbacks that scikit-learn has from 1.9 on; nothing on earlier versions.

    fit                                 the root task
      start 0, iteration 1, ...         of EM
      validation 0, 1, ...              of networks: the steps up to each look at the validation rows
      fit of the estimator              of an estimator upon another one, whose own tasks are below it

A callback that returns True after an iteration ends EM there, with the best start so far, and after a
validation it ends the training. `ScoringMonitor` of scikit-learn 1.9 scores where `y` is given alone.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["CallbackSupport", "FitTask", "Validations", "with_callbacks"]

try:
    _own = importlib.import_module("sklearn.callback")
except ImportError:  # before scikit-learn 1.9
    _own = None


class _NoCallbacks:
    """What stands for the mixin of scikit-learn where there is none."""


def _as_it_is(method: Any) -> Any:
    """What stands for the decorator of scikit-learn where there is none."""
    return method


CallbackSupport: Any = _NoCallbacks if _own is None else _own.CallbackSupportMixin
with_callbacks: Any = _as_it_is if _own is None else _own.with_callbacks


class FitTask:
    """The root task of a fit, which has begun.

    Arguments:
        estimator: that is fitted.
        X, y: what `fit` was given.
        sample_weight: likewise.
        subtasks: how many there will be; None where that is not known.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        subtasks: int | None = None,
    ):
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        self._told = {"estimator": estimator, "X": X, "y": y, "metadata": weights}
        self.heard = bool(getattr(estimator, "_skl_callbacks", ()))
        self._context: Any = None
        if _own is not None:
            self._context = estimator._init_callback_context(max_subtasks=subtasks)
            self._context.call_on_fit_task_begin(**self._told)
        self._subtask: Any = None

    @property
    def open(self) -> bool:
        """Whether a subtask has begun and not ended."""
        return self._subtask is not None

    def begin(self, name: str) -> None:
        """Begin a subtask."""
        if self._context is not None:
            self._subtask = self._context.subcontext(task_name=name)
            self._subtask.call_on_fit_task_begin(**self._told)

    def end(self, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        """End the subtask; whether a callback wants the fit to stop there.

        Arguments:
            attributes: makes what the estimator would have, had it stopped there.
        """
        if self._subtask is None:
            return False
        subtask, self._subtask = self._subtask, None
        return subtask.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes)

    @contextlib.contextmanager
    def of(self, other: Any) -> Iterator[None]:
        """The one subtask in which another estimator is fitted."""
        if self._context is None:
            yield
            return
        self._subtask = self._context.subcontext(task_name="fit of the estimator")
        with self._subtask.propagate_callback_context(other):
            self._subtask.call_on_fit_task_begin(**self._told)
            yield
            self.end()

    def finish(self) -> None:
        """End the task, once the estimator has all that a fit gives it."""
        if self._context is not None:
            self._context.call_on_fit_task_end(**self._told, reconstruction_attributes={})


class Validations:
    """A callback of taut that makes a subtask of the steps up to each validation."""

    def __init__(self, task: FitTask):
        self._task, self._number = task, 0

    def on_step(self, step: int, metrics: Any) -> None:
        if not self._task.open:
            self._task.begin(f"validation {self._number}")

    def on_validation(self, step: int, estimate: Any) -> bool:
        self._number += 1
        return self._task.end()
