"""The latent space: where the guide puts rows, against the prior where that is a standard normal.

Two dimensions are drawn as they are. More are projected onto the two directions of largest variance
through the origin,

    u = V^T z,        V the leading eigenvectors of cov(z),

under which a standard normal prior remains a standard normal. One dimension is a histogram, with the
aggregated posterior (1/N) sum_i N(z_i, s_i^2) where scales are given.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Real
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from taut.core import InputError, counted
from taut.report.classes import MOST_CLASSES, Classes, as_classes
from taut.report.style import (
    BLUE,
    CLASSES,
    GREY,
    INK,
    VERMILION,
    add_legend,
    dress,
    new_figure,
    save,
)

__all__ = ["directions", "latent_scatter"]

_MOST_ELLIPSES = 300
_BINS = 40


def latent_scatter(
    path: Path | str,
    z: Real[np.ndarray, "..."],
    *,
    label: Any = None,
    scale: Real[np.ndarray, "..."] | None = None,
    normal_prior: bool = True,
) -> Path:
    """Draw latents.

    Arguments:
        path: PNG file to write.
        z: means of q(z | x), (N, d); rows that are not finite are left out.
        label: one for each row, (N,): up to twelve distinct ones are classes with a legend, more
            numbers a colour scale; None for one colour.
        scale: standard deviations of q(z | x), (N, d), drawn as ellipses of one of them.
        normal_prior: p(z) is N(0, I), and is drawn.

    Raises:
        InputError: no finite row, or arrays of different lengths.
    """
    z = np.asarray(z, np.float64)
    _check(z, label, scale)
    known = np.isfinite(z).all(axis=1)
    classes = None if label is None else as_classes(np.asarray(label)[known])
    spread = None if scale is None else np.asarray(scale, np.float64)[known]
    z = z[known]
    figure = new_figure(5.0 if classes is None else 5.6, 4.9 if z.shape[1] > 1 else 3.6)
    axes = figure.add_subplot()
    if z.shape[1] == 1:
        spread = None if spread is None else spread[:, 0]
        _histogram(axes, z[:, 0], classes, spread, normal_prior=normal_prior)
        add_legend(figure, loc="outside right center")
        return save(figure, path)
    axes_of_z, names = directions(z)
    _posteriors(axes, z, spread, axes_of_z)
    _points(axes, z @ axes_of_z, classes)
    dashes = {"linewidth": 0.9, "linestyle": (0, (4, 3))}
    if normal_prior:
        for radius in (1, 2):
            axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=INK, zorder=3, **dashes))
        axes.plot([], [], color=INK, label="prior, 1 and 2 standard deviations", **dashes)
    title = f"Encodings of {counted(len(z), 'row')} in {z.shape[1]} dimensions"
    dress(axes, title=title, x=names[0], y=names[1])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1.0)
    axes.autoscale_view()
    if axes.get_legend_handles_labels()[0]:
        add_legend(figure, loc="outside lower center", ncols=2)
    _key(figure, classes)
    return save(figure, path)


def directions(z: Float[np.ndarray, "N d"]) -> tuple[Float[np.ndarray, "d 2"], list[str]]:
    """Orthonormal directions to project on, and what their axes are called."""
    if z.shape[1] == 2:
        return np.eye(2), ["z₁", "z₂"]
    centred = z - z.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    leading = vectors[:, ::-1][:, :2]
    # Eigenvectors have no sign of their own; the largest entry is made positive.
    largest = np.abs(leading).argmax(axis=0)
    leading = leading * np.where(leading[largest, [0, 1]] < 0, -1.0, 1.0)
    names = ["first principal axis of z", "second principal axis of z"]
    total = values.sum()
    if total > 0:
        shares = values[::-1][:2] / total
        names = [
            f"{name}, {100 * share:.0f} % of variance"
            for name, share in zip(names, shares, strict=True)
        ]
    return leading, names


def _posteriors(
    axes: Axes,
    z: Float[np.ndarray, "N d"],
    scale: Float[np.ndarray, "N d"] | None,
    directions: Float[np.ndarray, "d 2"],
) -> None:
    """One standard deviation of q(z | x): the covariance V^T diag(s^2) V as an ellipse."""
    if scale is None:
        return
    chosen = np.linspace(0, len(z) - 1, min(len(z), _MOST_ELLIPSES)).astype(int)
    covariance = np.einsum("di,nd,dj->nij", directions, scale[chosen] ** 2, directions)
    finite = np.isfinite(covariance).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(covariance[finite])
    widths, heights = 2 * np.sqrt(np.maximum(values.T, 0.0))
    angles = np.degrees(np.arctan2(vectors[:, 1, 0], vectors[:, 0, 0]))
    axes.add_collection(
        EllipseCollection(
            widths, heights, angles, units="xy", offsets=(z[chosen] @ directions)[finite],
            offset_transform=axes.transData, facecolors="none", edgecolors=GREY, linewidths=0.4,
            alpha=0.5,
        )
    )  # fmt: skip
    # Collections of ellipses have no picture in a legend.
    ring = {"marker": "o", "fillstyle": "none", "color": GREY, "markeredgewidth": 0.6}
    axes.plot([], [], linestyle="none", label="q(z | x), 1 standard deviation", **ring)


def _points(axes: Axes, u: Float[np.ndarray, "N 2"], classes: Classes | None) -> None:
    # Drawn in a random order, so that no class lies on top of the others.
    order = np.random.default_rng(0).permutation(len(u))
    look: dict[str, Any] = {"s": float(np.clip(14000 / len(u), 4, 18)), "linewidth": 0, "zorder": 2}
    if classes is None:
        axes.scatter(u[:, 0], u[:, 1], color=BLUE, alpha=0.7, **look)
    elif classes.names:
        colours = np.asarray([*CLASSES, GREY])[classes.codes[order]]
        axes.scatter(u[order, 0], u[order, 1], c=colours, alpha=0.85, **look)
    else:
        scale = colormaps["viridis"].with_extremes(bad=GREY)
        drawn = axes.scatter(
            u[order, 0],
            u[order, 1],
            c=classes.values[order],
            cmap=scale,
            plotnonfinite=True,
            alpha=0.85,
            **look,
        )
        figure = axes.get_figure()
        assert figure is not None
        bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
        dress(bar.ax, y="label", small=True)
        bar.ax.grid(visible=False)


def _key(figure: Figure, classes: Classes | None) -> None:
    """Which colour stands for which class, beside the axes."""
    if classes is None or not classes.names:
        return
    entries: list[tuple[str, str]] = list(zip(classes.names, CLASSES, strict=False))
    if (classes.codes == MOST_CLASSES).any():
        entries.append((classes.rest, GREY))
    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=5, color=c, markeredgewidth=0)
        for _, c in entries
    ]
    add_legend(
        figure, handles=dots, labels=[name for name, _ in entries], loc="outside right center",
        title="label",
    )  # fmt: skip


def _histogram(
    axes: Axes,
    z: Float[np.ndarray, " N"],
    classes: Classes | None,
    scale: Float[np.ndarray, " N"] | None,
    *,
    normal_prior: bool,
) -> None:
    low, high = min(z.min(), -3.0), max(z.max(), 3.0)
    edges = np.linspace(low, high, _BINS + 1)
    width = edges[1] - edges[0]

    def bars(values: np.ndarray, **look: Any) -> None:
        axes.stairs(np.histogram(values, edges)[0] / (len(z) * width), edges, **look)

    bars(z, fill=True, color="#dddddd", label="all rows")
    if classes is not None:
        for code, name in enumerate(classes.names):
            bars(z[classes.codes == code], color=CLASSES[code], linewidth=1.1, label=name)
    grid = np.linspace(low, high, 400)
    if scale is not None:
        aggregated = np.zeros_like(grid)
        for centre, deviation in zip(z, np.maximum(scale, width / 10), strict=True):
            aggregated += _normal((grid - centre) / deviation) / deviation
        axes.plot(grid, aggregated / len(z), color=VERMILION, linewidth=1.2, label="aggregated q")
    if normal_prior:
        dashes = (0, (4, 3))
        axes.plot(grid, _normal(grid), color=INK, linewidth=0.9, linestyle=dashes, label="prior")
    dress(axes, title=f"Encodings of {counted(len(z), 'row')}", x="z", y="density")
    axes.set_ylim(bottom=0)


def _normal(u: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)


def _check(z: np.ndarray, label: Any, scale: Any) -> None:
    if z.ndim != 2 or z.shape[1] < 1 or not np.isfinite(z).all(axis=1).any():
        raise InputError(
            "latents of shape (rows, dimensions), one of them finite",
            f"shape {z.shape}",
            "z of shape (N, d)",
            where="latents",
        )
    if label is not None and np.shape(label) != (len(z),):
        raise InputError(
            f"{len(z)} labels", f"shape {np.shape(label)}", "one label for each row",
            where="latents, label",
        )  # fmt: skip
    if scale is not None and np.shape(scale) != z.shape:
        raise InputError(
            f"scales of shape {z.shape}", f"shape {np.shape(scale)}",
            "one scale for each latent", where="latents, scale",
        )  # fmt: skip
