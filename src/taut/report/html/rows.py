"""Pictures of rows: samples, reconstructions, and where rows lie in the latent space.

The same as the figures of a run, as SVG and small images. A mosaic has at most `PIXELS` pixels, so that
a page with several runs stays small.
"""

import base64
import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from taut.data import Data, Dataset, Schema, label_names
from taut.errors import counted, counted_are
from taut.fitted import Fit
from taut.models import AbstractExactModel
from taut.report.classes import as_classes
from taut.report.columns import most_informative, shared_edges
from taut.report.figures.latent_scatter import directions
from taut.report.html.markup import Markup, element, joined
from taut.report.html.svg import Line, Points, Steps, plot, side_by_side
from taut.report.latents import has_normal_prior
from taut.report.mosaic import as_rgb, averaged, grey_range
from taut.report.rows import checked_columns

__all__ = ["PIXELS", "latents", "reconstructions", "samples"]

PIXELS = 80_000  # of a mosaic: 320 kB where every pixel is noise
_ACROSS, _IMAGES, _PAIRS = 8, 64, 16
_DRAWS, _ENCODED, _RECONSTRUCTED = 1000, 512, 100
_LEAST = 14  # pixels of an image that still shows something
_PANELS = 12
_CODES, _LETTERS = 8, 24  # categories that are named, and letters of a name


def samples(fit: Fit, data: Data, *, pixels: int = PIXELS) -> Markup:
    """Rows that the model makes: a mosaic of images, or the marginals of a table beside the data's."""
    if fit.schema.kind == "image":
        drawn = np.asarray(fit.sample(_IMAGES), np.float64)
        return _mosaic([drawn], fit.schema, pixels, "Samples of the model (draws of x, not means)")
    drawn = np.asarray(fit.sample(_DRAWS), np.float64)
    rows = np.asarray(data.train.sample(_DRAWS).x, np.float64)
    return _columns(
        fit.schema, rows,
        lambda column: _marginals(drawn[:, column], rows[:, column]),
        x="value", y="share", title="samples (line) and data (grey)",
    )  # fmt: skip


def reconstructions(fit: Fit, test: Dataset, *, pixels: int = PIXELS) -> Markup | None:
    """Held-out rows beside what the model makes of their codes; None where nothing is lost."""
    if fit.architecture.name == "flow" and "elbo" not in fit.estimates:
        return None
    if isinstance(fit.model, AbstractExactModel) or not len(test):
        return None
    number = _PAIRS if fit.schema.kind == "image" else _RECONSTRUCTED
    shown = test.sample(number).x
    x = np.asarray(shown, np.float64)
    mean = np.asarray(fit.reconstruct(shown), np.float64)
    if fit.schema.kind == "image":
        title = "Held-out rows, each above its reconstruction (a mean)"
        return _mosaic([x, mean], fit.schema, pixels, title)
    return _columns(
        fit.schema, x, lambda column: _pairs(x[:, column], mean[:, column]),
        x="value", y="reconstruction", title="held-out rows", equal=True,
    )  # fmt: skip


def latents(fit: Fit, test: Dataset) -> Markup | None:
    """Codes of held-out rows on their two directions of largest variance, coloured by label."""
    if isinstance(fit.model, AbstractExactModel) or len(test) < 2:
        return None
    some = test.sample(_ENCODED)
    z = np.asarray(fit.encode(some), np.float64)
    known = np.isfinite(z).all(axis=1)
    if z.ndim != 2 or known.sum() < 2:
        return None
    z, label = z[known], label_names(some)
    label = None if label is None else np.asarray(label)[known]
    if z.shape[1] == 1:
        along = np.linspace(0, 1, len(z))
        u, names = np.stack([z[:, 0], along], axis=1), ["z", "rows, in their order"]
    else:
        axes, names = directions(z)
        u = z @ axes
    marks: list[Any] = _clouds(u, label, fit.schema)
    if z.shape[1] > 1 and has_normal_prior(fit.model):
        turn = np.linspace(0, 2 * np.pi, 90)
        for radius in (1, 2):
            said = "prior, 1 and 2 standard deviations" if radius == 1 else ""
            marks.append(Line(radius * np.cos(turn), radius * np.sin(turn), "rule", said))
    title = f"Codes of {counted(len(z), 'row')} in {counted(z.shape[1], 'dimension')}"
    if label is not None and fit.schema.label_name:
        title += f", coloured by {fit.schema.label_name}"
    return plot(marks, title=title, x=names[0], y=names[1], equal=z.shape[1] > 1)


def _clouds(u: np.ndarray, label: Any, schema: Schema) -> list[Points]:
    classes = None if label is None else as_classes(label)
    if classes is None:
        return [Points(u[:, 0], u[:, 1], "c0")]
    codes, names = classes.codes, list(classes.names)
    if not names:  # numbers: five parts of equal size
        edges = np.nanquantile(classes.values, np.linspace(0, 1, 6))
        codes = np.clip(np.searchsorted(edges, classes.values, side="right") - 1, 0, 4)
        codes = np.where(np.isfinite(classes.values), codes, len(names) + 12)
        names = [f"{a:.4g} to {b:.4g}" for a, b in itertools.pairwise(edges)]
    elif schema.classes and schema.target is None:
        spelled = dict(enumerate(schema.classes))
        names = [spelled.get(int(n), n) if n.isdigit() else n for n in names]
    found = [
        Points(u[codes == code, 0], u[codes == code, 1], f"k{code}", name)
        for code, name in enumerate(names)
    ]
    others = codes >= len(names)
    return found + (
        [Points(u[others, 0], u[others, 1], "k12", classes.rest)] if others.any() else []
    )


def _columns(
    schema: Schema, rows: np.ndarray, marks: Any, *, x: str, y: str, title: str, equal: bool = False
) -> Markup:
    """A small plot for each of the columns that say most."""
    names = checked_columns(schema.columns, schema.size, where="report")
    # A mode of categories beside a category says nothing on two axes.
    named = [bool(column.names) for column in schema.kinds or ()]
    kept = [i for i in range(schema.size) if not (equal and any(named[i : i + 1]))]
    chosen = (
        [kept[int(column)] for column in most_informative(rows[:, kept], _PANELS)] if kept else []
    )
    figures = [
        plot(
            marks(i), title=f"{names[i]}: {title}{_codes(schema, i)}", x=x, y=y, equal=equal,
            whole=bool(schema.categories[i]),
        )
        for i in chosen
    ]  # fmt: skip
    left = schema.size - len(chosen)
    thing = "more column" if chosen else "column"
    more = element("p", f"{counted_are(left, thing)} not shown.") if left else None
    return joined(side_by_side(figures), more)


def _codes(schema: Schema, column: int) -> str:
    """The first codes of a column with what they stand for."""
    names = schema.categories[column]
    if not names:
        return ""
    told = ", ".join(f"{code} {name[:_LETTERS]}" for code, name in enumerate(names[:_CODES]))
    return f"; {told}{', ...' if len(names) > _CODES else ''}"


def _marginals(drawn: np.ndarray, rows: np.ndarray) -> list[Steps]:
    edges = shared_edges(rows)

    def shares(values: np.ndarray) -> np.ndarray:
        known = values[np.isfinite(values)]
        return np.histogram(known, edges)[0] / max(known.size, 1)

    return [Steps(edges, shares(rows), True, "data"), Steps(edges, shares(drawn), False, "c0")]


def _pairs(x: np.ndarray, mean: np.ndarray) -> list[Any]:
    both = np.concatenate([x, mean])
    both = both[np.isfinite(both)]
    ends = np.asarray([both.min(), both.max()]) if both.size else np.asarray([0.0, 1.0])
    return [Line(ends, ends, "rule"), Points(x, mean, "c0")]


def _mosaic(groups: Sequence[np.ndarray], schema: Schema, pixels: int, title: str) -> Markup:
    """Images in rows of eight, those of several groups below each other."""
    ends = grey_range(groups[0])
    rgb = np.stack([as_rgb(images, schema.shape, ends) for images in groups])
    tall, wide = rgb.shape[2:4]
    while rgb.shape[1] > _ACROSS and rgb.shape[0] * rgb.shape[1] * tall * wide > pixels:
        if min(tall, wide) > 2 * _LEAST:
            rgb = averaged(rgb, 2)
            tall, wide = rgb.shape[2:4]
        else:
            rgb = rgb[:, : rgb.shape[1] - _ACROSS]
    while rgb.shape[0] * rgb.shape[1] * tall * wide > pixels and min(tall, wide) > 2:
        rgb = averaged(rgb, 2)
        tall, wide = rgb.shape[2:4]
    number = rgb.shape[1]
    down = -(-number // _ACROSS)
    page = np.ones((len(rgb), down * _ACROSS, tall + 1, wide + 1, 3))
    page[:, :number, :tall, :wide] = rgb
    lines = page.reshape(len(rgb), down, _ACROSS, tall + 1, wide + 1, 3)
    flat = lines.transpose(1, 0, 3, 2, 4, 5).reshape(
        down * len(rgb) * (tall + 1), _ACROSS * (wide + 1), 3
    )
    note = "" if ends == (0.0, 1.0) else f"; black is {ends[0]:.3g}, white is {ends[1]:.3g}"
    shown = f"{title}, {number} of them{note}"
    picture = element(
        "img", src=_png(flat), alt=shown, width=max(flat.shape[1], 480),
        height=round(flat.shape[0] * max(1.0, 480 / flat.shape[1])),
    )  # fmt: skip
    return element("figure", element("figcaption", shown), picture)


def _png(pixels: np.ndarray) -> str:
    grey = np.array_equal(pixels[..., 0], pixels[..., 1])
    levels = np.rint(255 * np.clip(np.nan_to_num(pixels), 0, 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels[..., 0] if grey else levels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
