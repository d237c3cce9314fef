"""The protocol of callbacks: what is told of each step, of each validation, and of the end.

Steps are computed many at a time and told one by one afterwards, in order, numbered from 0 as in
metrics.jsonl. A run that goes on is told the steps after its last checkpoint. What a callback raises
stops the fit once the state is kept: a run folder can be resumed.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np

from taut.core import Estimate, InputError

if TYPE_CHECKING:
    from taut.fitted import Fit

__all__ = ["Callback", "checked", "ended", "tell", "telling_of_failures"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_METHODS = ("on_step", "on_validation", "on_end", "on_exception")


class Callback:
    """Is told of a fit; a method that is not overridden does nothing.

    Any object that has some of the methods serves.
    """

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """After a step.

        Arguments:
            step: its number, from 0; of EM that of the iteration, which begins anew with each start.
            metrics: `bound`, nats per row, and whatever else metrics.jsonl has; NaN for a step that was
                rejected. Of EM also `components` and `start`.
        """

    def on_validation(self, step: int, estimate: Estimate) -> object:
        """After the validation rows were looked at.

        Arguments:
            step: number of the step before.
            estimate: the bound on these rows.

        Returns:
            True to end the training there, as if it had been the last step; on several hosts on any.
        """

    def on_end(self, fit: "Fit") -> None:
        """After the model was measured, with what `taut.fit` returns; the run folder is finished."""

    def on_exception(self, error: BaseException) -> None:
        """Instead of the end, after a fit that raised, on every host; the error is raised on.

        Arguments:
            error: what was raised, `KeyboardInterrupt` of Ctrl-C among others.
        """


def checked(callbacks: Iterable[Any] | None) -> tuple[Any, ...]:
    """Callbacks as a tuple.

    Raises:
        InputError: something that has none of the methods.
    """
    if callbacks is None:
        return ()
    given = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
    for one in given:
        if isinstance(one, type) or not any(callable(getattr(one, m, None)) for m in _METHODS):
            got = f"the class {one.__name__}" if isinstance(one, type) else f"{one!r}"
            raise InputError(
                f"objects with {', '.join(_METHODS[:-1])} or {_METHODS[-1]}", got,
                f"{one.__name__}()" if isinstance(one, type) else "a taut.callbacks.Callback",
                where="callbacks",
            )  # fmt: skip
    return given


def telling_of_failures(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function that tells its `callbacks`, a keyword, of whatever it raises.

    What one of them raises then becomes a note of the error.
    """

    @wraps(function)
    def telling(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        told = kwargs["callbacks"] = checked(cast(Any, kwargs.get("callbacks")))
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            for one in told:
                if (on_exception := getattr(one, "on_exception", None)) is not None:
                    try:
                        on_exception(error)
                    except Exception as other:
                        error.add_note(f"{type(one).__name__}.on_exception raised {other!r}")
            raise

    return telling


def tell(
    callbacks: Iterable[Any],
    first: int,
    metrics: Mapping[str, np.ndarray],
    validation: Estimate | None,
) -> bool:
    """Tell of consecutive steps; whether one of the callbacks wants the training to end there.

    Arguments:
        callbacks: whom.
        first: number of the first step.
        metrics: by name, each (n,).
        validation: made after the last of them; None where there was none.
    """
    count, enough = len(metrics["bound"]), False
    for one in callbacks:
        if (on_step := getattr(one, "on_step", None)) is not None:
            for i in range(count):
                on_step(first + i, {name: float(values[i]) for name, values in metrics.items()})
        on_validation = getattr(one, "on_validation", None)
        if validation is not None and on_validation is not None:
            enough |= on_validation(first + count - 1, validation) is True
    return enough


def ended(callbacks: Iterable[Any], fit: "Fit") -> None:
    """Tell of the end."""
    for one in callbacks:
        if (on_end := getattr(one, "on_end", None)) is not None:
            on_end(fit)
