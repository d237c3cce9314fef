"""What `--gradient` and the options that shape it make."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from taut.cli.options import FitOptions
from taut.errors import InputError, nearest

if TYPE_CHECKING:
    from taut.gradients import AbstractBaseline, AbstractEstimator, Temperature

__all__ = ["bound_served", "gradient"]

_OPTIONS = ("temperature", "baseline")


def gradient(given: FitOptions) -> "AbstractEstimator | None":
    """The estimator that the options choose; None leaves it to the model and the bound.

    Raises:
        InputError: an unknown name, or an option that the estimator does not have.
    """
    from taut.gradients import ESTIMATORS, Temperature

    wanted: dict[str, Any] = {n: v for n in _OPTIONS if (v := getattr(given, n)) is not None}
    if given.gradient is None:
        for option in wanted:
            raise InputError(
                f"--gradient with --{option}", "none", f"--gradient {_with(option)[0]}",
                where=option,
            )  # fmt: skip
        return None
    _check_name(given.gradient)
    estimator = ESTIMATORS[given.gradient]
    for option in wanted:
        if option not in {f.name for f in fields(estimator)}:
            raise InputError(
                f"--{option} with --gradient {' or '.join(_with(option))}",
                f"--gradient {given.gradient}", f"leaving out --{option}", where=option,
            )  # fmt: skip
    if isinstance(getattr(estimator, "temperature", None), Temperature):
        wanted = {n: _constant(v) if n == "temperature" else v for n, v in wanted.items()}
    if given.baseline is not None:
        wanted["baseline"] = _baseline(given.baseline)
    return estimator(**wanted)


def bound_served(given: FitOptions) -> str:
    """The bound that is maximised: what was asked for, or the first that the gradient serves."""
    from taut.gradients import ESTIMATORS

    if given.bound is not None or given.gradient is None:
        return given.bound or "elbo"
    _check_name(given.gradient)
    served = [claim.bound for claim in ESTIMATORS[given.gradient].claims]
    return served[0] if served and "elbo" not in served else "elbo"


def _baseline(name: str) -> "AbstractBaseline | None":
    from taut.gradients import MovingAverage, NetworkBaseline

    baselines = {"moving-average": MovingAverage(), "network": NetworkBaseline(), "none": None}
    if name not in baselines:
        raise InputError(
            f"one of {', '.join(baselines)}", repr(name), nearest(name, baselines),
            where="baseline",
        )  # fmt: skip
    return baselines[name]


def _constant(temperature: float) -> "Temperature":
    """A temperature that was given does not fall."""
    from taut.gradients import Temperature

    return Temperature(start=temperature, least=temperature, rate=0.0)


def _check_name(name: str) -> None:
    from taut.gradients import ESTIMATORS

    if name not in ESTIMATORS:
        raise InputError(
            f"one of {', '.join(ESTIMATORS)}", repr(name), nearest(name, ESTIMATORS),
            where="gradient",
        )  # fmt: skip


def _with(option: str) -> list[str]:
    """Names of the estimators that have an option."""
    from taut.gradients import ESTIMATORS

    return [n for n, e in ESTIMATORS.items() if option in {f.name for f in fields(e)}]
