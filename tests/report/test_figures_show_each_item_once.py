"""Every mark of a figure is that of its own item, in whatever order the items came."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from taut.audit import Gaps
from taut.core import Estimate
from taut.report import figures
from taut.report.figures import em as em_figures
from taut.report.style import BLUE, CLASSES, FAINT, GREY, VERMILION

HERE = Path("unused.png")
KLS = np.asarray([0.5, 3.0, 0.25, 2.0, 0.125])
ACTIVE = np.asarray([True, False, False, True, True])
COUNTS = np.asarray([1, 2, 4, 8, 16])
OTHER = np.asarray([3, 0, 4, 2, 1])

# Figures that sort what they are given, of the same items in an order.
SORTED: dict[str, Callable[[Any], Path]] = {
    "latent_kls": lambda at: figures.latent_kls(HERE, KLS[at], ACTIVE[at]),
    "latent_kls, groups": lambda at: figures.latent_kls(HERE, KLS[at], None),
    "em_selection": lambda at: em_figures.em_selection(
        HERE, components=COUNTS[at], validation=KLS[at], validation_error=0.1 * COUNTS[at],
        training=KLS[at] ** 2, bic=-KLS[at], chosen=4, by="bic",
    ),
    "khat": lambda at: figures.khat(HERE, KLS[at], 0.3),
    "overlap": lambda at: figures.overlap(HERE, KLS[at], 3.5),
    "weight_tail": lambda at: figures.weight_tail(HERE, KLS[at] / KLS.sum(), 0.5, 0.7),
}  # fmt: skip


def _marks(figure: Figure) -> list[tuple[Any, ...]]:
    """Lines and bars with their colours and their places, sorted."""
    found: list[tuple[Any, ...]] = []
    for number, axes in enumerate(figure.axes):
        for line in axes.lines:
            points = np.asarray(line.get_xydata(), float).round(9).tolist()
            found.append((number, "line", to_hex(line.get_color()), str(points)))
        for patch in axes.patches:
            corners = patch.get_path().transformed(patch.get_patch_transform()).vertices
            place = np.asarray(corners).round(9).tolist()
            found.append((number, "patch", to_hex(patch.get_facecolor()), str(place)))
        for band in axes.collections:
            segments = [
                np.round(np.asarray(path.vertices), 9).tolist() for path in band.get_paths()
            ]
            found.append((number, "band", "", str(segments)))
    return sorted(found)


@pytest.mark.parametrize("name", SORTED)
def test_the_order_in_which_items_came_moves_no_mark(name, drawn):
    for order in (np.arange(len(KLS)), OTHER):
        SORTED[name](order)
    first, second = map(_marks, drawn)
    assert first == second
    assert first


def test_marks_of_other_items_are_caught(drawn):
    figures.latent_kls(HERE, KLS, ACTIVE)
    figures.latent_kls(HERE, KLS, ACTIVE[OTHER])
    first, second = map(_marks, drawn)
    assert first != second


def test_a_dimension_is_idle_at_its_own_bar(drawn):
    figures.latent_kls(HERE, KLS, ACTIVE)
    bars = {str(c.get_label()): list(c) for c in drawn[0].axes[0].containers}
    assert {n: [b.get_height() for b in own] for n, own in bars.items()} == {
        "active": [2.0, 0.5, 0.125], "idle": [3.0, 0.25],
    }  # fmt: skip
    for name, colour in (("active", BLUE), ("idle", FAINT)):
        assert {to_hex(bar.get_facecolor()) for bar in bars[name]} == {colour}


def _estimate(value: float, error: float) -> Estimate:
    return Estimate(value, "none", mc_error=error)


def test_a_gap_is_drawn_in_its_own_parts_beside_its_name(drawn):
    gap, encoder, family = _estimate(5.0, 0.5), _estimate(3.0, 0.25), _estimate(2.0, 0.125)
    whole = Gaps(gap, gap, _estimate(7.0, 0.75), None, None, undivided="no vector")
    divided = Gaps(gap, gap, gap, encoder, family)
    figures.gap_bars(HERE, {"held-out": whole, "training": divided})
    (axes,) = drawn[0].axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["held-out", "training"]
    shown = [
        (bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width(), to_hex(bar.get_facecolor()))
        for bar in axes.patches
    ]  # fmt: skip
    assert [tuple(np.round(one[:3], 9)) for one in shown] == [(0, 0, 7), (1, 0, 3), (1, 3, 2)]
    assert [one[3] for one in shown] == [GREY, BLUE, VERMILION]
    halves = [np.ptp(c.get_segments()[0][:, 0]) / 2 for c in axes.collections]
    np.testing.assert_allclose(halves, [0.75, 0.25, 0.125])


def test_pairs_have_each_coordinate_on_its_own_axis(drawn):
    rng, places = np.random.default_rng(0), np.asarray([0.0, 10.0, 20.0])
    values, guide = places + rng.random((50, 3)), places + rng.random((40, 3))
    figures.pairs(HERE, values, np.full(50, 0.02), guide, ["a", "b", "c"])
    grid = np.reshape(np.asarray(drawn[0].axes, object), (3, 3))
    assert [axes.get_xlabel() for axes in grid[2]] == ["a", "b", "c"]
    assert [axes.get_ylabel() for axes in grid[1:, 0]] == ["b", "c"]
    for i in range(3):
        low, high = grid[i, i].get_xlim()
        assert 10 * i - 1 < low < high < 10 * i + 2
        for j in range(i):
            points = np.asarray(grid[i, j].collections[0].get_offsets())
            np.testing.assert_array_equal(np.floor(points / 10), [[j, i]] * len(points))
            rows = {tuple(row) for row in values[:, [j, i]]}
            assert {tuple(row) for row in points} <= rows


def test_a_way_has_its_own_score_and_density(drawn):
    scores = [np.asarray([0.0, 0.5, 0.9]), np.asarray([0.25]), np.asarray([0.1, 0.8])]
    densities = [-s - 3 for s in scores]
    figures.along_path(HERE, scores, densities, level=0.75, density_of="row")
    for axes, wanted in zip(drawn[0].axes, (scores, densities), strict=True):
        for line, own, colour in zip(axes.lines, wanted, CLASSES, strict=False):
            np.testing.assert_array_equal(line.get_ydata(), own)
            assert line.get_color() == colour
    assert set(drawn[0].axes[0].lines[-1].get_ydata()) == {0.75}
    assert len(drawn[0].axes[1].lines) == 3


def test_a_strip_runs_from_the_row_to_the_answer(drawn):
    greys = np.asarray([0.1, 0.11, 0.12, 0.8])  # the last step is nearly the whole way
    figures.path_strip(HERE, [greys[:, None, None] * np.ones((4, 4))], shape=(4, 4))
    pixels = np.asarray(drawn[0].axes[0].images[0].get_array())[..., 0]
    ink = (pixels < 1).all(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ink.astype(int), [0]]))).reshape(-1, 2)
    found = [float(pixels[:, a:b].mean()) for a, b in edges]
    np.testing.assert_allclose(found, [0.1] + [0.12] * 4 + [0.8] * 5)


def test_ranks_are_drawn_in_the_colour_of_their_own_name(drawn):
    times = np.asarray([0.25, 0.5, 0.75])
    curves = {name: times + 0.01 * (i + 1) for i, name in enumerate(["a", "b", "c"])}
    figures.calibration(HERE, times, curves, ["c"], times - 0.1, times + 0.2)
    (axes,) = drawn[0].axes
    assert axes.get_title() == "2 of 3 quantities within the band"
    outside = next(line for line in axes.lines if line.get_label() == "c")
    np.testing.assert_allclose(outside.get_ydata()[1:-1], 0.03)
    calm = [line for line in axes.lines if line.get_color() == BLUE]
    np.testing.assert_allclose([line.get_ydata()[1] for line in calm], [0.01, 0.02])
    assert calm[0].get_label() == "within"
    heights = np.unique(axes.collections[0].get_paths()[0].vertices[:, 1].round(9))
    assert heights.tolist() == [-0.1, 0.2]


def test_validations_stand_at_their_own_steps(drawn):
    looked, values = np.asarray([10, 20, 30]), np.asarray([-5.0, -3.0, -4.0])
    error = np.asarray([0.1, 0.2, 0.3])
    figures.learning_curves(
        HERE, steps=np.arange(1, 31), train_bound=np.linspace(-6, -2, 30), validation_steps=looked,
        validation=values, validation_error=error, best_step=20, bound_name="elbo",
    )  # fmt: skip
    (axes,) = drawn[0].axes
    lines = {str(line.get_label()): line for line in axes.lines}
    points = np.asarray(lines["validation"].get_xydata())
    np.testing.assert_array_equal(points, np.stack([looked, values], axis=1))
    np.testing.assert_allclose(lines["training batch"].get_ydata(), np.linspace(-6, -2, 30))
    assert set(lines["kept: step 20 (-3.00)"].get_xdata()) == {20}
    band = axes.collections[-1].get_paths()[0].vertices
    for step, value, spread in zip(looked, values, error, strict=True):
        own = band[band[:, 0] == step, 1]
        np.testing.assert_allclose([own.min(), own.max()], [value - spread, value + spread])


def test_the_evidence_of_each_iteration_is_shown_from_the_first_tenth_on(drawn):
    evidence = -(10.0 ** (2 - np.arange(20.0)))
    em_figures.em_evidence(HERE, steps=np.arange(20), log_evidence=evidence, per="batch")
    (axes,) = drawn[0].axes
    points = np.asarray(axes.lines[0].get_xydata())
    np.testing.assert_array_equal(points, np.stack([np.arange(20), evidence], axis=1))
    assert -1.1 < axes.get_ylim()[0] < -1.0 < 0.0 < axes.get_ylim()[1] < 0.1
    assert axes.get_xlabel() == "batch"


def test_every_figure_is_read_back():
    read = "".join(p.read_text() for p in Path(__file__).parent.glob("test_figures_show_*.py"))
    names = [f"figures.{name}(" for name in figures.__all__]
    names += [
        f"em_figures.{n}(" for n in em_figures.__all__ if inspect.isfunction(vars(em_figures)[n])
    ]
    assert [name for name in names if name not in read] == []
