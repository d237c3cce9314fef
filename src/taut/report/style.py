"""The look of every figure: fonts, colours, sizes, and how a figure becomes a file.

Figures are `matplotlib.figure.Figure`s on an Agg canvas. Everything is set on the objects themselves,
so that neither pyplot nor a change of rcParams is needed, and figures can be drawn in any thread.

Colours are safe for the colour-blind: those of Okabe and Ito (2008) for lines, those of Tol (2021,
"Colour schemes", the qualitative scheme "muted" and its extension to twelve) for classes.
"""

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from taut.core import write_atomically

__all__ = [
    "BLUE",
    "CLASSES",
    "DPI",
    "FAINT",
    "GREEN",
    "GREY",
    "INK",
    "SMALL",
    "TITLE",
    "VERMILION",
    "add_legend",
    "dress",
    "few_ticks",
    "headline",
    "legible",
    "new_figure",
    "panels",
    "save",
]

DPI = 200
INK, GREY, FAINT = "#222222", "#767676", "#d4d4d4"
BLUE, VERMILION, GREEN = "#0072b2", "#d55e00", "#009e73"
CLASSES = (
    "#332288", "#88ccee", "#117733", "#ddcc77", "#cc6677", "#aa4499",
    "#44aa99", "#999933", "#882255", "#661100", "#6699cc", "#aa4466",
)  # fmt: skip
FONT = "DejaVu Sans"  # the one that matplotlib brings along
TITLE, TEXT, SMALL = 10.0, 9.0, 8.0  # points
_LETTERS_PER_INCH = 12.0  # of title text, on average
_PANELS_PER_ROW = 4
_NAMED, _LETTERS = 4, 22  # categories on an axis of a small panel, and letters of their names


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """An empty figure of a size in inches; its layout is solved when it is drawn."""
    figure = Figure(
        figsize=(width, height),
        dpi=DPI,
        facecolor="white",
        layout="constrained" if constrained else None,
    )
    FigureCanvasAgg(figure)
    return figure


def panels(count: int, *, title: str, height: float = 1.55) -> tuple[Figure, list[Axes]]:
    """A figure of small panels in rows of equal length, at most four."""
    down = -(-count // _PANELS_PER_ROW)
    across = -(-count // down)
    figure = new_figure(max(1.8 * across, 4.2), height * down + 0.9)
    headline(figure, title)
    return figure, [figure.add_subplot(down, across, i + 1) for i in range(count)]


def headline(figure: Figure, title: str) -> None:
    """A title over the whole figure, broken into lines that fit its width."""
    width = int(figure.get_figwidth() * _LETTERS_PER_INCH)
    figure.suptitle(
        textwrap.fill(legible(title, 400), width),
        fontsize=TITLE,
        fontfamily=FONT,
        color=INK,
        parse_math=False,
    )


def dress(axes: Axes, *, title: str = "", x: str = "", y: str = "", small: bool = False) -> None:
    """Give axes the common look, and labels with their units."""
    size = SMALL if small else TEXT
    plain = {"fontsize": size, "fontfamily": FONT, "parse_math": False}
    axes.set_title(title, color=INK, **plain)
    axes.set_xlabel(x, color=INK, **plain)
    axes.set_ylabel(y, color=INK, **plain)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(
        labelsize=size - 1, labelfontfamily=FONT, color=GREY, labelcolor=INK, width=0.6
    )
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(GREY)
        spine.set_linewidth(0.6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set(fontsize=size - 1, fontfamily=FONT, color=INK)


def few_ticks(
    axes: Axes, *, axis: Literal["x", "y", "both"] = "both", names: Sequence[str] = ()
) -> None:
    """Ticks for a small panel: few, and with their power of ten beside the axis where it is large.

    Arguments:
        axes: with their limits set.
        axis: which of them.
        names: of the categories that the values 0, 1, ... stand for, which are shown in their place.
    """
    if names:
        codes = range(0, len(names), -(-len(names) // _NAMED))
        letters = max(4, _LETTERS // len(codes))
        for one, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            if axis in ("both", name):
                low, high = sorted(one.get_view_interval())
                shown = [code for code in codes if low <= code <= high]
                one.set_ticks(shown, [legible(names[code], letters) for code in shown])
                for label in one.get_ticklabels():
                    label.set_parse_math(False)
        return
    axes.locator_params(axis=axis, nbins=4)
    axes.ticklabel_format(axis=axis, scilimits=(-2, 4))


def add_legend(owner: Axes | Figure, **options: Any) -> None:
    """A legend in the common look, of axes or outside all axes of a figure.

    The options are those of `legend`.
    """
    look = {"frameon": False, "labelcolor": INK, "prop": {"family": FONT, "size": SMALL}}
    legend = owner.legend(**{**look, **options})
    for text in [*legend.get_texts(), legend.get_title()]:
        text.set_parse_math(False)
    legend.get_title().set(fontfamily=FONT, fontsize=SMALL, color=INK)


def legible(text: str, limit: int = 18) -> str:
    """Text that the font can draw, its middle left out beyond a number of letters."""
    drawable = _drawable()
    letters = [c if ord(c) in drawable else "?" for c in " ".join(str(text).split())]
    if len(letters) > limit:
        tail = limit // 3  # names of columns often differ at their ends
        letters[limit - 1 - tail : len(letters) - tail] = "…"
    return "".join(letters)


def save(figure: Figure, path: Path | str) -> Path:
    """Write a figure as PNG in one step; equal figures give equal bytes.

    Raises:
        OSError: the folder is missing or cannot be written.
    """
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    return write_atomically(path, lambda file: canvas.print_png(file, metadata={"Software": None}))


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())
