"""MLflow: options as parameters, the bound of each step, validations, and the numbers at the end.

Steps are sent many at a time, since each call may be one to a server.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from taut.callbacks.abstract import Callback
from taut.core import Estimate, InputError

if TYPE_CHECKING:
    from taut.fitted import Fit

__all__ = ["MLflow"]

_AT_ONCE = 500  # metrics of a call; a server takes at most 1000
_PARAMETERS = 100  # parameters of a call, likewise
_LONGEST = 500  # letters of a parameter's value, likewise


class MLflow(Callback):
    """Logs to the active run of MLflow, or to one of its own, which it ends.

    The run of a fit that raises ends as FAILED, and after Ctrl-C as KILLED.

    Arguments:
        name: of a run of its own.
        every: of so many steps one is logged; validations all are.

    Raises:
        InputError: MLflow is not installed.
    """

    def __init__(self, *, name: str | None = None, every: int = 1):
        try:
            import mlflow  # pyright: ignore[reportMissingImports]
            from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise InputError(
                "MLflow, which is not installed", "none", "`pip install 'taut[mlflow]'`",
                where="MLflow",
            ) from None  # fmt: skip
        if every < 1:
            raise InputError("at least 1", f"{every}", "1", where="every")
        self._mlflow: Any = mlflow
        self._metric: Any = Metric
        self._owns = mlflow.active_run() is None
        run = mlflow.start_run(run_name=name) if self._owns else mlflow.active_run()
        self._run = run.info.run_id
        self._every, self._last, self._waiting = every, 0, []

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        self._last = step
        if step % self._every == 0:
            self._add({f"training_{name}": value for name, value in metrics.items()}, step)
        if len(self._waiting) >= _AT_ONCE:
            self._send()

    def on_validation(self, step: int, estimate: Estimate) -> None:
        self._add({"validation_bound": estimate.value}, step)
        self._send()

    def on_end(self, fit: "Fit") -> None:
        for name, estimate in fit.estimates.items():
            numbers = {"": estimate.value, "_mc_error": estimate.mc_error}
            numbers["_data_error"] = estimate.data_error
            self._add({f"test_{name}{ending}": v for ending, v in numbers.items()}, self._last)
        self._send()
        options = [(name, str(value)[:_LONGEST]) for name, value in _flat(fit.recipe.to_dict())]
        for first in range(0, len(options), _PARAMETERS):
            self._mlflow.log_params(dict(options[first : first + _PARAMETERS]))
        self._mlflow.set_tags({f"test_{n}": str(e) for n, e in fit.estimates.items()})
        self._finish("FINISHED")

    def on_exception(self, error: BaseException) -> None:
        try:
            self._send()
        finally:
            self._finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")

    def _finish(self, status: str) -> None:
        """End the run, once, if it is its own."""
        if self._owns:
            self._owns = False
            self._mlflow.end_run(status)

    def _add(self, metrics: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        self._waiting += [
            self._metric(name, value, now, step)
            for name, value in metrics.items()
            if math.isfinite(value)
        ]

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _AT_ONCE):
            some = waiting[first : first + _AT_ONCE]
            self._mlflow.MlflowClient().log_batch(self._run, metrics=some)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested table by dotted names."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
