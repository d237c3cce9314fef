"""What `--gradient` and the options that shape it make."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from taut.cli.options import FitOptions
from taut.errors import InputError, nearest

if TYPE_CHECKING:
    from taut.gradients import AbstractBaseline, AbstractEstimator, Temperature

__all__ = ["bound_served", "gradient"]

_OPTIONS = ("temperature", "baseline")
_SUMMING = ("enumerate", "rest")


def gradient(given: FitOptions) -> "AbstractEstimator | None":
    """The estimator that the options choose; None leaves it to the model and the bound.

    Raises:
        InputError: an unknown name, or an option that the estimator does not have.
    """
    from taut.gradients import Enumeration

    wanted: dict[str, Any] = {n: v for n in _OPTIONS if (v := getattr(given, n)) is not None}
    summing: dict[str, Any] = {n: v for n in _SUMMING if (v := getattr(given, n)) is not None}
    if given.gradient is None:
        for option in (*wanted, *summing):
            remedy = (
                f"--gradient {_with(option)[0]}" if option in wanted else "--gradient enumeration"
            )
            raise InputError(f"--gradient with --{option}", "none", remedy, where=option)
        return None
    _check_name(given.gradient, "gradient")
    if given.gradient == Enumeration.name and summing:
        return _enumeration(wanted, given.enumerate or "all", given.rest)
    for option in summing:
        raise InputError(
            f"--{option} with --gradient enumeration", f"--gradient {given.gradient}",
            f"--gradient enumeration, or leaving out --{option}", where=option,
        )  # fmt: skip
    return _made(given.gradient, wanted, flag="gradient")


def bound_served(given: FitOptions) -> str:
    """The bound that is maximised: what was asked for, or the first that the gradient serves."""
    from taut.gradients import ESTIMATORS

    if given.bound is None and given.wake_sleep is not None:
        return "iwae"
    if given.bound is not None or given.gradient is None:
        return given.bound or "elbo"
    _check_name(given.gradient, "gradient")
    served = [claim.bound for claim in ESTIMATORS[given.gradient].claims]
    return served[0] if served and "elbo" not in served else "elbo"


def _enumeration(wanted: dict[str, Any], over: str, rest: str | None) -> "AbstractEstimator":
    """Enumeration of what `--enumerate` names, with the estimator of the rest."""
    from taut.gradients import Enumeration

    of_factor = Enumeration(over).factor is not None
    if not of_factor and (rest is not None or wanted):
        option = "rest" if rest is not None else next(iter(wanted))
        raise InputError(
            f"a layer or a unit to sum over with --{option}, which is of the rest",
            f"--enumerate {over}", f"--enumerate layer:1, or leaving out --{option}",
            where=option,
        )  # fmt: skip
    if rest is not None:
        _check_name(rest, "rest")
    if not of_factor:
        return Enumeration(over)
    return Enumeration(over, _made(rest or "rloo", wanted, flag="rest"))


def _made(name: str, wanted: dict[str, Any], *, flag: str) -> "AbstractEstimator":
    """An estimator with the options that were given, which must be its own."""
    from taut.gradients import ESTIMATORS, Temperature

    estimator = ESTIMATORS[name]
    own = {f.name for f in fields(estimator)}
    for option in wanted:
        if option not in own:
            raise InputError(
                f"--{option} with --{flag} {' or '.join(_with(option))}", f"--{flag} {name}",
                f"leaving out --{option}", where=option,
            )  # fmt: skip
    if isinstance(getattr(estimator, "temperature", None), Temperature):
        wanted = {n: _constant(v) if n == "temperature" else v for n, v in wanted.items()}
    if "baseline" in wanted:
        wanted = {**wanted, "baseline": _baseline(wanted["baseline"])}
    return estimator(**wanted)


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


def _check_name(name: str, flag: str) -> None:
    from taut.gradients import ESTIMATORS

    if name not in ESTIMATORS:
        raise InputError(
            f"one of {', '.join(ESTIMATORS)}", repr(name), nearest(name, ESTIMATORS),
            where=flag,
        )  # fmt: skip


def _with(option: str) -> list[str]:
    """Names of the estimators that have an option."""
    from taut.gradients import ESTIMATORS

    return [n for n, e in ESTIMATORS.items() if option in {f.name for f in fields(e)}]
