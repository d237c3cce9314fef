"""The bound over the rounds of an ascent: on fresh draws with its error, and on the draws it climbed."""

from pathlib import Path

import numpy as np
from jaxtyping import Real

from taut.core import InputError
from taut.report.style import BLUE, VERMILION, add_legend, dress, new_figure, save

__all__ = ["bound_trace"]


def bound_trace(
    path: Path | str,
    *,
    steps: Real[np.ndarray, " R"],
    bound: Real[np.ndarray, " R"],
    bound_error: Real[np.ndarray, " R"],
    gain: Real[np.ndarray, " R"],
    gain_error: Real[np.ndarray, " R"],
    precision_nats: float | None,
) -> Path:
    """Draw the bound after each round, above what remains to be gained at most.

    Arguments:
        path: PNG file to write.
        steps: evaluations of the sample average so far, (R,).
        bound: ELBO on fresh draws, nats, (R,).
        bound_error: its standard error, (R,).
        gain: what the family still has to give, at most in expectation, nats, (R,); infinite where
            unknown.
        gain_error: its standard error, (R,).
        precision_nats: below which the ascent stops; None where it is not known.

    Raises:
        InputError: no round.
    """
    if len(steps) == 0:
        raise InputError("at least one round", "none", "a guide that climbs", where="bound trace")
    figure = new_figure(6.4, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    dress(above, title="ELBO after each round, on fresh draws", y="ELBO [nats]")
    dress(below, x="steps", y="gain that remains, at most [nats]")
    look = {"marker": "o", "markersize": 4, "capsize": 3, "linewidth": 1.2}
    finite = np.isfinite(bound)
    above.errorbar(
        steps[finite], bound[finite], yerr=np.nan_to_num(bound_error[finite], posinf=0.0),
        color=BLUE, label="± standard error", **look,
    )  # fmt: skip
    above.ticklabel_format(axis="y", useOffset=False)
    known = np.isfinite(gain)
    below.errorbar(
        steps[known], gain[known], yerr=np.nan_to_num(gain_error[known], posinf=0.0),
        color=BLUE, label="± standard error", **look,
    )  # fmt: skip
    if precision_nats is not None:
        line = {"color": VERMILION, "linewidth": 1.0, "linestyle": (0, (4, 3))}
        below.axhline(precision_nats, label="precision", **line)
    below.set_ylim(bottom=0.0)
    add_legend(below, loc="best")
    return save(figure, path)
