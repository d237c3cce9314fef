"""Learning curves: the bound on training batches at every step, and on validation rows.

The training bound of a step is one noisy number of one batch. It is shown thinly as it is (its range
over neighbouring steps where there are more steps than pixels) and as a running mean over 2 % of the
steps.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from taut.core import InputError
from taut.report.curves import Curve, reduced, shown_limits
from taut.report.style import BLUE, GREY, VERMILION, add_legend, dress, legible, new_figure, save

__all__ = ["learning_curves"]

_NAMES = {"elbo": "ELBO", "iwae": "IWAE bound", "renyi": "Rényi bound"}


def learning_curves(
    path: Path | str,
    *,
    steps: Real[np.ndarray, " ..."],
    train_bound: Real[np.ndarray, " ..."],
    validation_steps: Real[np.ndarray, " ..."],
    validation: Real[np.ndarray, " ..."],
    validation_error: Real[np.ndarray, " ..."] | None = None,
    best_step: int | None = None,
    bound_name: str,
    validation_name: str | None = None,
    side: str = "lower bound",
) -> Path:
    """Draw learning curves.

    Arguments:
        path: PNG file to write.
        steps: step numbers, counted from 1, (T,).
        train_bound: bound on each step's batch, (T,); nats per row.
        validation_steps: steps after which validation rows were looked at, (V,); V may be 0.
        validation: bound on them, (V,); nats per row.
        validation_error: its standard error, (V,); drawn as a band.
        best_step: step after which parameters were kept.
        bound_name: `elbo`, `iwae`, `renyi`, or words.
        validation_name: of the bound on the validation rows where it is another, in words.
        side: of the bound, in words.

    Raises:
        InputError: no step, or arrays of different lengths.
    """
    _check_lengths(steps, train_bound, "steps", "train_bound")
    _check_lengths(validation_steps, validation, "validation_steps", "validation")
    if validation_error is not None:
        _check_lengths(validation, validation_error, "validation", "validation_error")
    if len(steps) == 0:
        raise InputError("at least one step", "none", "a longer run", where="learning curves")
    train = reduced(np.asarray(steps, np.float64), np.asarray(train_bound, np.float64))
    looked = np.asarray(validation_steps, np.float64)
    values = np.asarray(validation, np.float64)
    name = _NAMES.get(bound_name, bound_name)
    judged = " and" if validation_name is None else f", {validation_name}"

    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    dress(
        axes,
        title=legible(f"{name} on training batches{judged} on validation rows", 90),
        x="step",
        y=legible(f"{name if validation_name is None else 'bound'} [nats per row], {side}", 60),
    )
    _draw_train(axes, train)
    if looked.size:
        look = {"color": VERMILION, "linewidth": 1.6, "zorder": 4}
        axes.plot(looked, values, label="validation", marker="o", markersize=2.6, **look)
        if validation_error is not None:
            error = np.asarray(validation_error, np.float64)
            band = {"color": VERMILION, "alpha": 0.25, "linewidth": 0, "zorder": 3}
            axes.fill_between(
                looked, values - error, values + error, label="± standard error", **band
            )
    kept = _value_at(best_step, looked, values)
    if best_step is not None:
        suffix = "" if kept is None else f" ({kept:.2f})"
        axes.axvline(
            best_step, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2,
            label=f"kept: step {best_step}{suffix}",
        )  # fmt: skip
    limits = shown_limits(train, looked, values, kept)
    if limits is not None:
        axes.set_ylim(*limits)
    first, last = train.steps[0], max([train.steps[-1], *looked, best_step or 0])
    room = 0.01 * (last - first) or 1.0
    axes.set_xlim(first - room, last + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    add_legend(figure, loc="outside lower center", ncols=3)
    return save(figure, path)


def _draw_train(axes: Axes, train: Curve) -> None:
    faint = {"color": BLUE, "alpha": 0.3, "label": "training batch"}
    if np.array_equal(train.low, train.high, equal_nan=True):
        axes.plot(train.steps, train.mean, linewidth=0.6, **faint)
    else:
        axes.fill_between(train.steps, train.low, train.high, linewidth=0, **faint)
    axes.plot(
        train.steps, train.smooth, color=BLUE, linewidth=1.6, label="training, running mean",
        marker="o" if len(train.steps) == 1 else None, markersize=4,
    )  # fmt: skip


def _value_at(
    step: int | None, looked: Float[np.ndarray, " V"], values: Float[np.ndarray, " V"]
) -> float | None:
    """The validation value that a kept step was judged by, if one was made after it."""
    found = values[(looked == step) & np.isfinite(values)]
    return float(found[0]) if found.size else None


def _check_lengths(first: Any, second: Any, first_name: str, second_name: str) -> None:
    if np.ndim(first) != 1 or np.shape(first) != np.shape(second):
        raise InputError(
            f"{first_name} and {second_name} of one length",
            f"shapes {np.shape(first)} and {np.shape(second)}",
            "one value for each step",
            where="learning curves",
        )
