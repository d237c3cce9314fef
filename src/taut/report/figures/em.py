"""Figures of EM: the evidence over iterations, and the curve that the number of components came from."""

from pathlib import Path

import numpy as np
from jaxtyping import Real
from matplotlib.ticker import MaxNLocator

from taut.core import InputError, counted
from taut.report.style import BLUE, GREY, VERMILION, add_legend, dress, legible, new_figure, save

__all__ = ["em_evidence", "em_selection"]


def em_evidence(
    path: Path | str,
    *,
    steps: Real[np.ndarray, " T"],
    log_evidence: Real[np.ndarray, " T"],
    per: str = "iteration",
) -> Path:
    """Draw the training rows' log-evidence over iterations.

    Arguments:
        path: PNG file to write.
        steps: numbers of the iterations, (T,).
        log_evidence: mean over rows, (T,); nats per row, exact.
        per: what a step is, in words.

    Raises:
        InputError: no step.
    """
    if len(steps) == 0:
        raise InputError("at least one step", "none", "a longer run", where="evidence curve")
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    dress(
        axes,
        title=legible(f"log-evidence after each {per}", 90),
        x=per,
        y="log-evidence [nats per row], exact",
    )
    axes.plot(steps, log_evidence, color=BLUE, linewidth=1.6, marker="o", markersize=2.6)
    # The first tenth of the iterations may lie hundreds of nats below the others.
    late = np.asarray(log_evidence, np.float64)[len(steps) // 10 :]
    late = late[np.isfinite(late)]
    if late.size > 1 and late.max() > late.min():
        room = 0.06 * (late.max() - late.min())
        axes.set_ylim(late.min() - room, late.max() + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return save(figure, path)


def em_selection(
    path: Path | str,
    *,
    components: Real[np.ndarray, " C"],
    validation: Real[np.ndarray, " C"],
    validation_error: Real[np.ndarray, " C"],
    training: Real[np.ndarray, " C"],
    bic: Real[np.ndarray, " C"],
    chosen: int,
    by: str,
) -> Path:
    """Draw what each number of components achieves, above its information criterion.

    Arguments:
        path: PNG file to write.
        components: numbers of components, (C,).
        validation: log-evidence of the validation rows, (C,); nats per row.
        validation_error: its standard error over rows, (C,).
        training: log-evidence of the training rows, (C,); nats per row.
        bic: Bayesian information criterion, (C,); smaller is better.
        chosen: the number of components that was kept.
        by: what decided, `evidence` or `bic`.
    """
    order = np.argsort(components)
    x = np.asarray(components)[order]
    figure = new_figure(6.4, 5.6)
    above, below = figure.subplots(2, 1, sharex=True)
    deciding = {"evidence": "held-out log-evidence", "bic": "BIC"}.get(by, by)
    dress(
        above,
        title=legible(f"{counted(chosen, 'component')}, chosen by {deciding}", 90),
        y="log-evidence [nats per row]",
    )
    dress(below, x="components", y="BIC")
    above.plot(
        x, np.asarray(training)[order], color=BLUE, marker="o", markersize=3, label="training"
    )
    above.errorbar(
        x, np.asarray(validation)[order], yerr=np.asarray(validation_error)[order],
        color=VERMILION, marker="o", markersize=3, capsize=2, label="validation ± standard error",
    )  # fmt: skip
    below.plot(x, np.asarray(bic)[order], color=BLUE, marker="o", markersize=3)
    for axes in (above, below):
        axes.axvline(chosen, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(above, loc="best")
    return save(figure, path)
