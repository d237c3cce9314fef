"""The gap of the ELBO by its causes, training beside held-out rows."""

from collections.abc import Mapping
from pathlib import Path

from taut.audit import Gaps
from taut.report.style import BLUE, GREY, INK, VERMILION, add_legend, dress, new_figure, save

__all__ = ["gap_bars"]


def gap_bars(path: Path | str, gaps: Mapping[str, Gaps]) -> Path:
    """Draw a bar for each kind of rows, in the parts that its gap was divided into.

    Arguments:
        path: PNG file to write.
        gaps: by the kind of rows.
    """
    figure = new_figure(5.6, 1.1 + 0.55 * len(gaps))
    axes = figure.add_subplot()
    dress(axes, title="What the ELBO lacks of the log-evidence", x="nats per row")
    named: set[str] = set()
    for place, found in enumerate(gaps.values()):
        parts = [
            ("encoder (amortization)", found.amortization, BLUE),
            ("family (approximation)", found.approximation, VERMILION),
        ]
        if found.amortization is None or found.approximation is None:
            parts = [("not divided", found.total, GREY)]
        left = 0.0
        for label, part, colour in parts:
            assert part is not None
            fresh = label if label not in named else None
            axes.barh(
                place, part.value, left=left, color=colour, height=0.55, label=fresh,
                xerr=part.mc_error, error_kw={"ecolor": INK, "elinewidth": 0.8},
            )  # fmt: skip
            left += part.value
            named.add(label)
    axes.set_yticks(range(len(gaps)), list(gaps))
    axes.invert_yaxis()
    add_legend(figure, loc="outside lower center", ncols=2)
    return save(figure, path)
