"""The bound over the rounds of an ascent, with its error, above what it may gain yet or has gained."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Real

from taut.core import InputError
from taut.report.style import BLUE, GREEN, VERMILION, add_legend, dress, new_figure, save

__all__ = ["bound_trace"]


def bound_trace(
    path: Path | str,
    *,
    steps: Real[np.ndarray, " R"],
    bound: Real[np.ndarray, " R"],
    bound_error: Real[np.ndarray, " R"],
    gain: Real[np.ndarray, " R"],
    gain_error: Real[np.ndarray, " R"],
    won: Bool[np.ndarray, " R"],
    precision_nats: float | None,
) -> Path:
    """Draw the bound after each round, above the gain that the stopping rule looks at.

    Arguments:
        path: PNG file to write.
        steps: evaluations of the sample average so far, (R,).
        bound: ELBO on fresh draws, nats, (R,).
        bound_error: its standard error, (R,).
        gain: what the family still has to give, at most in expectation, or what the round won, nats,
            (R,); infinite where unknown.
        gain_error: its standard error, (R,).
        won: where it is what the round won, (R,).
        precision_nats: below which the ascent stops; None where it is not known.

    Raises:
        InputError: no round.
    """
    if len(steps) == 0:
        raise InputError("at least one round", "none", "a guide that climbs", where="bound trace")
    figure = new_figure(6.4, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    dress(above, title="ELBO after each round, ± standard error", y="ELBO [nats]")
    dress(below, x="steps", y="gain ± standard error [nats]")
    look = {"marker": "o", "markersize": 4, "capsize": 3, "linewidth": 1.2}
    finite = np.isfinite(bound)
    above.errorbar(
        steps[finite], bound[finite], yerr=np.nan_to_num(bound_error[finite], posinf=0.0),
        color=BLUE, **look,
    )  # fmt: skip
    above.ticklabel_format(axis="y", useOffset=False)
    for kind, label, colour in ((~won, "remains, at most", BLUE), (won, "won by the round", GREEN)):
        known = np.isfinite(gain) & kind
        if known.any():
            below.errorbar(
                steps[known], gain[known], yerr=np.nan_to_num(gain_error[known], posinf=0.0),
                color=colour, label=label, **look,
            )  # fmt: skip
    if precision_nats is not None:
        line = {"color": VERMILION, "linewidth": 1.0, "linestyle": (0, (4, 3))}
        below.axhline(precision_nats, label="precision", **line)
    below.set_ylim(bottom=min(0.0, below.get_ylim()[0]) if (won & (gain < 0)).any() else 0.0)
    add_legend(below, loc="best")
    return save(figure, path)
