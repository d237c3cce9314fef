"""Plots as inline SVG: lines, bands, points and steps on two axes.

The size of a plot does not grow with its data: a line has at most `MOST_VERTICES` vertices and a cloud
at most `MOST_POINTS` points. Colours are classes of the page's style, so that a plot is light or dark
with it; what is drawn is told in words beside it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Real

from taut.report.html.markup import Markup, element, joined

__all__ = [
    "MOST_POINTS",
    "MOST_VERTICES",
    "Band",
    "Line",
    "Points",
    "Rule",
    "Steps",
    "plot",
    "side_by_side",
]

MOST_VERTICES = 400
MOST_POINTS = 1500
_WIDTH, _HEIGHT = 420.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 10.0, 10.0, 42.0
_TICKS = 5
_DIGITS = 1e-4  # of an axis' values, at least from end to end
# Of a value, and of a distance: float64 holds what is twice as far apart, and a fifth of the other.
_LARGEST, _SMALLEST = 1e300, 1e-300
_REACH = 1e5  # in widths of the plot: farther off, renderers lose digits


@dataclass(frozen=True)
class Line:
    """Straight pieces between points; a gap where one is not finite.

    Attributes:
        x, y: (N,).
        look: class of the style.
        label: in the key; empty for none.
    """

    x: Real[np.ndarray, " N"]
    y: Real[np.ndarray, " N"]
    look: str = "c0"
    label: str = ""


@dataclass(frozen=True)
class Band:
    """What lies between two curves; attributes as of `Line`."""

    x: Real[np.ndarray, " N"]
    low: Real[np.ndarray, " N"]
    high: Real[np.ndarray, " N"]
    look: str = "c0"
    label: str = ""


@dataclass(frozen=True)
class Points:
    """A cloud of points; attributes as of `Line`, with a class for each point in `looks` or one."""

    x: Real[np.ndarray, " N"]
    y: Real[np.ndarray, " N"]
    look: str = "c0"
    label: str = ""
    radius: float = 2.2


@dataclass(frozen=True)
class Steps:
    """Heights over bins.

    Attributes:
        edges: of the bins, (N + 1,).
        heights: (N,).
        fill: bars instead of their outline.
        look, label: as of `Line`.
    """

    edges: Real[np.ndarray, " E"]
    heights: Real[np.ndarray, " N"]
    fill: bool = False
    look: str = "c0"
    label: str = ""


@dataclass(frozen=True)
class Rule:
    """A dashed line across: upright at `x`, or level at `y`."""

    x: float | None = None
    y: float | None = None
    label: str = ""
    look: str = "rule"


Mark = Line | Band | Points | Steps | Rule


def plot(
    marks: Sequence[Mark],
    *,
    title: str,
    x: str,
    y: str,
    says: str = "",
    limits: tuple[float, float] | None = None,
    equal: bool = False,
    whole: bool = False,
) -> Markup:
    """A figure with a caption, a plot and its key.

    Arguments:
        marks: drawn in this order.
        title: the caption.
        x, y: names of the axes, with units.
        says: what it shows, for who does not see it; the caption when empty.
        limits: of y; all that is drawn when None.
        equal: the same scale on both axes, which are square.
        whole: x is counted: no ticks between whole numbers.
    """
    height = _WIDTH if equal else _HEIGHT
    across, up = _reach(marks, 0), _apart(*(limits or _reach(marks, 1)))
    if any(isinstance(mark, Steps) for mark in marks):
        up = (min(up[0], 0.0), up[1])
    if equal:
        half = max(across[1] - across[0], up[1] - up[0]) / 2
        across, up = (((a + b) / 2 - half, (a + b) / 2 + half) for a, b in (across, up))
    to_x = _scale(across, _LEFT, _WIDTH - _RIGHT)
    to_y = _scale(up, height - _BOTTOM, _TOP)
    area = {
        "x": _LEFT, "y": _TOP, "width": _WIDTH - _LEFT - _RIGHT, "height": height - _TOP - _BOTTOM,
    }  # fmt: skip
    drawn = element(
        "svg",
        element("title", says or title),
        _axes((across, up), (to_x, to_y), height, (x, y), whole=whole),
        # A nested svg cuts off what lies beyond, without names that two plots of a page would share.
        element(
            "svg", *(_drawn(mark, to_x, to_y, height) for mark in marks), **area,
            viewBox=" ".join(_n(value) for value in area.values()),
        ),
        viewBox=f"0 0 {_n(_WIDTH)} {_n(height)}", role="img", class_="plot",
    )  # fmt: skip
    return element("figure", element("figcaption", title), drawn, _key(marks))


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers between two ends, at most six, or one where no whole number is between them."""
    rough = max((high - low) / _TICKS, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _reach(marks: Sequence[Mark], axis: int) -> tuple[float, float]:
    """The ends of an axis, with a little room around what is finite."""
    parts: list[Any] = []
    for mark in marks:
        if isinstance(mark, Rule):
            parts.append([value for value in [(mark.x, mark.y)[axis]] if value is not None])
        elif isinstance(mark, Steps):
            parts.append((mark.edges, mark.heights)[axis])
        elif isinstance(mark, Band):
            parts += [mark.x] if axis == 0 else [mark.low, mark.high]
        else:
            parts.append((mark.x, mark.y)[axis])
    values = np.concatenate([np.ravel(part).astype(np.float64) for part in parts] or [[]])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(max(values.min(), -_LARGEST)), float(min(values.max(), _LARGEST))
    room = 0.04 * (high - low)
    if low == high:
        room = max(0.5, 1e-3 * abs(high))
    return _apart(low - room, high + room)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Ends whose difference a few digits of them show."""
    short = max(_DIGITS * max(abs(low), abs(high)), _SMALLEST) - (high - low)
    return (low - short / 2, high + short / 2) if short > 0 else (low, high)


def _scale(ends: tuple[float, float], first: float, last: float) -> Callable[[Any], Any]:
    """From values to places on the page."""
    low, high = ends

    def place(values: Any) -> Any:
        values = np.asarray(values, np.float64)
        share = (np.where(np.isfinite(values), values, np.nan) - low) / (high - low)
        return np.clip(first + share * (last - first), -_REACH, _REACH)

    return place


def _axes(
    ends: tuple[tuple[float, float], tuple[float, float]],
    places: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    height: float,
    names: tuple[str, str],
    *,
    whole: bool,
) -> Markup:
    """Grid, numbers and names of both axes."""
    (across, up), (to_x, to_y), (x, y) = ends, places, names
    right, bottom = _WIDTH - _RIGHT, height - _BOTTOM
    parts = []
    for value, name in _named(ticks(*across, whole=whole)):
        at = _n(to_x(value))
        parts.append(element("line", x1=at, x2=at, y1=_n(_TOP), y2=_n(bottom), class_="grid"))
        parts.append(element("text", name, x=at, y=_n(bottom + 14), text_anchor="middle"))
    for value, name in _named(ticks(*up)):
        at = _n(to_y(value))
        parts.append(element("line", x1=_n(_LEFT), x2=_n(right), y1=at, y2=at, class_="grid"))
        parts.append(element("text", name, x=_n(_LEFT - 5), y=at, dy="0.32em", text_anchor="end"))
    middle = (_TOP + bottom) / 2
    parts.append(
        element("text", x, x=_n((_LEFT + right) / 2), y=_n(height - 8), text_anchor="middle")
    )
    parts.append(
        element("text", y, transform=f"translate(11 {_n(middle)}) rotate(-90)", text_anchor="middle")
    )  # fmt: skip
    return element("g", parts, class_="axes", aria_hidden="true")


def _named(values: list[float]) -> list[tuple[float, str]]:
    """Ticks with as many digits as tell them apart."""
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) if values else 1.0
    largest = max((abs(value) for value in values), default=0.0)
    if largest >= 1e6 or (step and step < 1e-4):
        digits = max(0, math.floor(math.log10(largest)) - math.floor(math.log10(step)))
        return [(value, f"{value:.{min(digits, 5)}e}".replace("-", "−")) for value in values]
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    return [(value, f"{value + 0.0:.{digits}f}".replace("-", "−")) for value in values]


def _drawn(mark: Mark, to_x: Any, to_y: Any, height: float) -> Markup:
    if isinstance(mark, Rule):
        upright = mark.x is not None
        at = _n(to_x(mark.x) if upright else to_y(mark.y))
        ends = (_TOP, height - _BOTTOM) if upright else (_LEFT, _WIDTH - _RIGHT)
        one, other = ("x", "y") if upright else ("y", "x")
        places = {f"{one}1": at, f"{one}2": at, f"{other}1": _n(ends[0]), f"{other}2": _n(ends[1])}
        return element("line", **places, class_=f"line {mark.look}")
    if isinstance(mark, Points):
        known = np.flatnonzero(np.isfinite(mark.x) & np.isfinite(mark.y))
        known = known[_evenly(len(known), MOST_POINTS)]
        places = zip(to_x(mark.x[known]), to_y(mark.y[known]), strict=True)
        # A line of no length with round ends is a dot, and takes a third of a circle's letters.
        path = "".join(f"M{_n(a)} {_n(b)}h0" for a, b in places)
        return element("path", d=path, class_=f"dots {mark.look}", stroke_width=_n(2 * mark.radius))
    if isinstance(mark, Steps):
        return _steps(mark, to_x, to_y)
    if isinstance(mark, Band):
        known = np.isfinite(mark.low) & np.isfinite(mark.high)
        at = np.flatnonzero(known)[_evenly(int(known.sum()), MOST_VERTICES // 2)]
        x = np.concatenate([mark.x[at], mark.x[at][::-1]])
        y = np.concatenate([mark.low[at], mark.high[at][::-1]])
        return element("path", d=_path(to_x(x), to_y(y)), class_=f"band {mark.look}")
    at = _evenly(len(mark.x), MOST_VERTICES)
    x, y = np.asarray(mark.x, np.float64)[at], np.asarray(mark.y, np.float64)[at]
    if len(x) == 1:
        return _drawn(Points(x, y, mark.look), to_x, to_y, height)
    return element("path", d=_path(to_x(x), to_y(y)), class_=f"line {mark.look}")


def _steps(mark: Steps, to_x: Any, to_y: Any) -> Markup:
    x = np.repeat(mark.edges, 2)
    y = np.concatenate([[0.0], np.repeat(mark.heights, 2), [0.0]])
    look = "band" if mark.fill else "line"
    return element("path", d=_path(to_x(x), to_y(y)), class_=f"{look} {mark.look}")


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Pieces between finite points."""
    parts, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            pen = "M"
            continue
        parts.append(f"{pen}{_n(a)} {_n(b)}")
        pen = "L"
    return "".join(parts)


def _evenly(count: int, most: int) -> np.ndarray:
    """Places of at most so many of a number of things, ends included."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).astype(int))[:count]


def _key(marks: Sequence[Mark]) -> Markup | None:
    named = [mark for mark in marks if mark.label]
    if not named:
        return None
    kinds = {Line: "line", Rule: "line", Band: "band", Steps: "line", Points: "dots"}
    entries = []
    for mark in named:
        kind = "band" if isinstance(mark, Steps) and mark.fill else kinds[type(mark)]
        drawn = "M2 6h16" if kind == "line" else "M2 2h16v8h-16z" if kind == "band" else "M10 6h0"
        width = 7 if kind == "dots" else None
        sign = element(
            "svg", element("path", d=drawn, class_=f"{kind} {mark.look}", stroke_width=width),
            viewBox="0 0 20 12", aria_hidden="true", class_="sign",
        )  # fmt: skip
        entries.append(element("li", sign, " ", mark.label))
    return element("ul", *entries, class_="key")


def _n(value: Any) -> str:
    """A place, to a tenth of a pixel."""
    return f"{float(value):.1f}".removesuffix(".0")


def side_by_side(figures: Sequence[Markup]) -> Markup:
    """Figures in as many columns as there is room for."""
    return element("div", joined(*figures), class_="figures")
