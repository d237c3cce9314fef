"""Distribution functions of ranks less that of uniform ones, and the band that those stay within."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.core import InputError, counted
from taut.report.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    VERMILION,
    add_legend,
    dress,
    new_figure,
    save,
)

__all__ = ["calibration"]

_LOOKS = (VERMILION, GREEN, "#cc79a7", "#e69f00")  # of curves that are named
_OTHERS = "#56b4e9"


def calibration(
    path: Path | str,
    times: Float[np.ndarray, " K"],
    curves: dict[str, Float[np.ndarray, " K"]],
    outside: list[str],
    low: Float[np.ndarray, " K"],
    high: Float[np.ndarray, " K"],
) -> Path:
    """Draw F(u) - u of every quantity.

    Arguments:
        path: PNG file to write.
        times: where the functions are known, between 0 and 1.
        curves: F(u) by quantity.
        outside: the quantities that leave the band, the worst first; the first few are named.
        low: lower limits of F.
        high: upper limits of F.

    Raises:
        InputError: no quantity.
    """
    if not curves:
        raise InputError("at least one quantity", "none", "ranking some", where="calibration")
    figure = new_figure(5.6, 3.8)
    axes = figure.add_subplot()
    inside = len(curves) - len(outside)
    dress(
        axes,
        title=f"{inside} of {counted(len(curves), 'quantity')} within the band",
        x="rank u of the truth among the guide's draws",
        y="F(u) - u",
    )
    axes.fill_between(
        times, low - times, high - times, color=FAINT, linewidth=0, alpha=0.6, zorder=0,
        label="where 95 % of calibrated guides stay",
    )  # fmt: skip
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    ends = np.concatenate([[0.0], times, [1.0]])
    calm = [name for name in curves if name not in outside]
    for i, name in enumerate([*calm, *reversed(outside)]):
        curve = np.concatenate([[0.0], curves[name] - times, [0.0]])
        look = {"color": BLUE, "linewidth": 0.9, "alpha": 0.5 if len(calm) > 3 else 0.9}
        label = "within" if i == 0 and calm else None
        if name in outside:
            place = outside.index(name)
            named = place < len(_LOOKS)
            colour = _LOOKS[place] if named else _OTHERS
            look = {"color": colour, "linewidth": 1.3, "alpha": 0.9}
            last = place == len(outside) - 1
            label = name if named else "others outside" if last else None
        axes.plot(ends, curve, label=label, **look)
    axes.set_xlim(0.0, 1.0)
    axes.margins(y=0.1)
    add_legend(figure, loc="outside lower center", ncols=2)
    return save(figure, path)
