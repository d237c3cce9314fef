"""A figure shows what its caption says: artists are read back and compared with what was handed in."""

import importlib
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from unchecked import types_unchecked

from taut.data import Schema
from taut.data.kinds import Column
from taut.report import figures
from taut.report.draw_explain import draw_explain
from taut.report.draw_fit import row_form
from taut.report.figures import em as em_figures
from taut.report.style import CLASSES

HERE = Path("unused.png")
IMAGE: dict[str, Any] = {"kind": "image", "shape": (4, 4)}
GREYS = np.arange(1, 11) / 20  # of ten images, none of them white


def _images(greys: Any) -> np.ndarray:
    return np.asarray(greys)[..., None, None] * np.ones((4, 4))


def _runs(filled: np.ndarray) -> list[slice]:
    """Where a row of booleans is true, one slice a run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


def _tiles(figure: Figure) -> list[list[float]]:
    """The grey of every image of a mosaic, row by row, found by the white between them."""
    pixels = np.asarray(figure.axes[0].images[0].get_array())
    ink = (pixels < 1).any(axis=2)
    return [
        [float(pixels[rows, columns].mean()) for columns in _runs(ink[rows].any(axis=0))]
        for rows in _runs(ink.any(axis=1))
    ]


def _texts(figure: Figure) -> list[Any]:
    return [text for text in figure.texts if text.get_text()]


def test_samples_lie_in_their_order(drawn):
    figures.samples(HERE, _images(GREYS), **IMAGE)
    top, bottom = _tiles(drawn[0])
    np.testing.assert_allclose([*top, *bottom], GREYS)


def test_every_row_is_above_its_own_reconstruction_and_named_so(drawn):
    figures.reconstructions(HERE, _images(GREYS), _images(GREYS + 0.3), **IMAGE)
    rows, means, more_rows, more_means = _tiles(drawn[0])
    np.testing.assert_allclose([*rows, *more_rows], GREYS)
    np.testing.assert_allclose([*means, *more_means], GREYS + 0.3)
    labels = [t for t in _texts(drawn[0]) if t.get_text() in ("row", "reconstruction")]
    by_height = sorted(labels, key=lambda t: -t.get_position()[1])
    assert [t.get_text() for t in by_height] == ["row", "reconstruction"] * 2


def test_lines_run_from_row_a_to_row_b(drawn):
    lines = _images(np.stack([np.linspace(0.1, 0.4, 4), np.linspace(0.5, 0.8, 4)]))
    ends = _images([[0.05, 0.45], [0.46, 0.9]])
    figures.interpolation(HERE, lines, ends=ends, **IMAGE)
    first, second = _tiles(drawn[0])
    np.testing.assert_allclose(first, [0.05, 0.1, 0.2, 0.3, 0.4, 0.45])
    np.testing.assert_allclose(second, [0.46, 0.5, 0.6, 0.7, 0.8, 0.9])
    above = {t.get_text(): t.get_position()[0] for t in _texts(drawn[0])}
    words = ["row a", "0", "0.33", "0.67", "1", "row b"]
    assert sorted(words, key=lambda w: above[w]) == words


TABLE = np.random.default_rng(5).normal(size=(30, 3)) * [1.0, 10.0, 100.0] + [0.0, 50.0, -5.0]
NAMES = ["small", "middle", "large"]


def _by_title(figure: Figure) -> dict[str, Any]:
    return {axes.get_title() or axes.get_title("left"): axes for axes in figure.axes}


def test_a_table_has_each_column_under_its_name(drawn):
    figures.reconstructions(HERE, TABLE, TABLE + 1, kind="table", shape=(3,), columns=NAMES)
    panels = _by_title(drawn[0])
    for i, name in enumerate(NAMES):
        points = np.asarray(panels[name].collections[0].get_offsets())
        np.testing.assert_allclose(points[:, 0], TABLE[:, i])
        np.testing.assert_allclose(points[:, 1], TABLE[:, i] + 1)


def test_samples_of_a_table_lie_over_the_same_column_of_the_data(drawn):
    figures.samples(HERE, TABLE, data=TABLE, kind="table", shape=(3,), columns=NAMES)
    panels = _by_title(drawn[0])
    for i, name in enumerate(NAMES):
        data, samples = panels[name].patches[:2]
        np.testing.assert_allclose(data.get_data().values, samples.get_data().values)
        low, high = data.get_data().edges[[0, -1]]
        assert low <= TABLE[:, i].min() <= TABLE[:, i].max() <= high
    figures.samples(HERE, TABLE + 1e6, data=TABLE, kind="table", shape=(3,), columns=NAMES)
    for axes in _by_title(drawn[1]).values():
        assert [t.get_text() for t in axes.texts] == ["100 % beyond"]


def test_categories_stand_on_the_axes_by_their_names(drawn):
    many = [f"town {i}" for i in range(9)]
    rows = np.stack([np.arange(9.0), np.arange(9.0) % 2, np.arange(9.0) / 7], axis=1)
    schema = Schema(
        "towns", "table", (3,), "mixed", columns=tuple(NAMES),
        kinds=(
            Column("categorical", "", tuple(many)), Column("binary", "", ("no", "$yes_")),
            Column("real", ""),
        ),
    )  # fmt: skip
    form, ends = row_form(schema), np.stack([rows[:2], rows[1:3]], axis=1)
    figures.samples(HERE, rows, **form)
    figures.reconstructions(HERE, rows, rows, **form)
    figures.interpolation(HERE, ends, ends=ends, **form)
    figures.answers(HERE, rows, rows, rows, np.ones(9, bool), **form)
    for figure, on in zip(drawn, ("x", "xy", "y", "xy"), strict=True):
        panels = _by_title(figure)
        for name, wanted in (("small", many), ("middle", ["no", "$yes_"])):
            for which in on:
                axis = getattr(panels[name], f"{which}axis")
                places, said = axis.get_ticklocs(), [t.get_text() for t in axis.get_ticklabels()]
                assert said, (name, which)
                for place, text in zip(places, said, strict=True):
                    assert text[:4] == wanted[int(place)][:4]
                    assert text[-1] == wanted[int(place)][-1]
                low, high = sorted(axis.get_view_interval())
                assert low <= min(places) <= max(places) <= high
    assert drawn[0].axes[2].xaxis.get_ticklabels()[0].get_text() not in many


def test_the_first_of_several_answers_is_drawn_with_its_own_mark(monkeypatch):
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(figures, "answers", lambda *given, **_: asked.append(given) or HERE)
    answers = np.stack([TABLE[:4] + 1, TABLE[:4] + 2], axis=1)
    reached = np.asarray([[True, False], [False, True], [True, True], [False, False]])
    found: Any = SimpleNamespace(
        x=TABLE[:4], reconstruction=TABLE[:4] + 3, answers=answers, reached=reached
    )
    with types_unchecked():
        drawn = draw_explain(found, (), Schema("t", "table", (3,), "real"))
    drawn["answers.png"](HERE)
    wanted = (HERE, TABLE[:4], TABLE[:4] + 3, TABLE[:4] + 1, reached[:, 0])
    for given, own in zip(asked[0][1:], wanted[1:], strict=True):
        np.testing.assert_array_equal(given, own)


def test_curves_of_a_table_run_between_the_values_of_their_rows(drawn):
    steps = np.linspace(TABLE[:2], TABLE[2:4], 5, axis=1)
    ends = np.stack([TABLE[:2], TABLE[2:4]], axis=1)
    figures.interpolation(HERE, steps, ends=ends, kind="table", shape=(3,), columns=NAMES)
    for i, name in enumerate(NAMES):
        lines = _by_title(drawn[0])[name].lines
        for line in range(2):
            curve, dots = lines[2 * line : 2 * line + 2]
            assert curve.get_color() == dots.get_color()
            np.testing.assert_allclose(curve.get_ydata(), steps[line, :, i])
            np.testing.assert_allclose(dots.get_ydata(), ends[line, :, i])


@pytest.mark.parametrize("dim", [2, 4])
def test_points_have_the_colour_of_their_own_label(dim, drawn):
    generator = np.random.default_rng(3)
    z, label = generator.normal(size=(40, dim)), generator.integers(3, size=40)
    z[:, 0] += 10 * label  # so that where a point lies says what it is
    figures.latent_scatter(HERE, z, label=label)
    points = drawn[0].axes[0].collections[-1]
    places, colours = np.asarray(points.get_offsets()), np.asarray(points.get_facecolors())
    # Along the first axis the classes lie one after the other, from whichever end.
    groups = np.argsort(places[:, 0])
    if dim == 2:
        np.testing.assert_allclose(np.sort(places[:, 0]), np.sort(z[:, 0]))
    seen = [to_hex(colours[i][:3]) for i in groups]
    blocks = [seen[0], *(b for a, b in itertools.pairwise(seen) if a != b)]
    wanted = [to_hex(to_rgba(c)) for c in CLASSES[:3]]
    assert blocks in (wanted, wanted[::-1])
    assert [seen.count(c) for c in wanted] == np.bincount(label).tolist()
    key = next(lg for lg in drawn[0].legends if lg.get_title().get_text() == "label")
    shown = {
        text.get_text(): to_hex(handle.get_color())  # pyright: ignore[reportAttributeAccessIssue]
        for text, handle in zip(key.get_texts(), key.legend_handles, strict=True)
    }
    assert shown == {str(k): wanted[k] for k in range(3)}


@pytest.mark.parametrize("dim", [2, 4])
def test_points_have_the_shade_of_their_own_number(dim, drawn):
    generator = np.random.default_rng(3)
    label = generator.permutation(40).astype(float)
    z = generator.normal(size=(40, dim))
    z[:, 0] = 10 * label
    label[label == 7] = np.nan
    figures.latent_scatter(HERE, z, label=label)
    points = drawn[0].axes[0].collections[-1]
    place, number = np.asarray(points.get_offsets())[:, 0], points.get_array()
    wanted = np.where(np.arange(40) == 7, np.nan, np.arange(40.0))
    np.testing.assert_array_equal(np.ma.filled(number, np.nan)[np.argsort(place)], wanted)


def test_khats_are_red_above_the_threshold_alone(drawn):
    values = np.asarray([0.9, 0.1, 0.7, np.nan, 0.3, np.inf, -np.inf, 0.71])
    figures.khat(HERE, values, 0.7)
    (axes,) = drawn[0].axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines["reliable"].get_ydata().tolist() == [0.1, 0.3, 0.7]  # a tie is reliable
    assert lines["reliable"].get_xdata().tolist() == [1, 2, 3]
    assert lines["not to be trusted"].get_ydata().tolist() == [0.71, 0.9]
    assert lines["not to be trusted"].get_xdata().tolist() == [4, 5]
    assert set(lines["threshold"].get_ydata()) == {0.7}
    assert "37.5 % above 0.70" in axes.get_title()  # three of eight, one of them infinite
    assert axes.texts[0].get_text().splitlines() == [
        "1 row without k-hat (too few draws)", "1 row of weights without a tail", "1 row infinite"
    ]  # fmt: skip


def test_estimators_are_named_at_their_own_points(drawn):
    names, times = ["a", "b", "c", "still"], [3.0, 1.0, 2.0, 4.0]
    spread, biased = [0.5, 8.0, 2.0, 0.0], [False, True, False, False]
    figures.gradients(HERE, names, times, spread, [0.1] * 4, biased, group="guide")
    (axes,) = drawn[0].axes
    named = {a.get_text(): tuple(a.xy) for a in axes.texts if hasattr(a, "xy")}
    assert named == {n: (t, v) for n, t, v in zip(names[:3], times, spread, strict=False)}
    marked = {str(box.get_label()): box.lines[0].get_xydata().tolist() for box in axes.containers}
    assert marked == {"no bias measured": [[3.0, 0.5], [2.0, 2.0]], "biased": [[1.0, 8.0]]}
    assert [t.get_text() for t in axes.texts][-1] == "without variance: still"
    for line in axes.lines[-2:]:  # along which the product is a power of ten
        products = np.asarray(line.get_xdata()) * np.asarray(line.get_ydata())
        if line.get_linestyle() == "--":
            np.testing.assert_allclose(products, products[0])


def test_a_selection_curve_is_in_the_order_of_the_components(drawn):
    components = np.asarray([4, 1, 2])
    em_figures.em_selection(
        HERE, components=components, validation=-1.0 * components, validation_error=0.1 * components,
        training=-2.0 * components, bic=3.0 * components, chosen=2, by="bic",
    )  # fmt: skip
    above, below = drawn[0].axes
    for line, factor in (
        (above.lines[0], -2.0),
        (above.containers[0].lines[0], -1.0),
        (below.lines[0], 3.0),
    ):
        assert line.get_xdata().tolist() == [1, 2, 4]
        np.testing.assert_allclose(line.get_ydata(), factor * np.asarray([1, 2, 4]))
    bars = above.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(bar[:, 1]) / 2 for bar in bars], [0.1, 0.2, 0.4])


def test_what_a_round_won_is_not_shown_as_what_remains(drawn):
    won = np.asarray([False, True, False, True])
    gain, steps = np.asarray([4.0, 3.0, 2.0, 1.0]), np.asarray([10, 20, 30, 40])
    figures.bound_trace(
        HERE, steps=steps, bound=-gain, bound_error=0.1 * gain, gain=gain, gain_error=0.2 * gain,
        won=won, precision_nats=0.25,
    )  # fmt: skip
    above, below = drawn[0].axes
    assert (
        above.containers[0].lines[0].get_xydata().tolist() == np.stack([steps, -gain], 1).tolist()
    )
    shown = {str(b.get_label()): b.lines[0].get_xydata().tolist() for b in below.containers}
    assert shown == {
        "remains, at most": [[10, 4.0], [30, 2.0]], "won by the round": [[20, 3.0], [40, 1.0]]
    }  # fmt: skip
    line = next(x for x in below.lines if x.get_label() == "precision")
    assert set(line.get_ydata()) == {0.25}


@pytest.mark.parametrize(
    ("khat", "words"),
    [
        (0.7, "k-hat 0.70, below 0.70;"),
        (0.71, "k-hat 0.71, above 0.70;"),
        (np.nan, "k-hat not fitted;"),
    ],
)
def test_the_tail_of_the_weights_says_on_which_side_its_khat_is(khat, words, drawn):
    weights = np.asarray([0.1, 0.5, 0.15, 0.25])
    figures.weight_tail(HERE, weights, khat, 0.7)
    (axes,) = drawn[0].axes
    assert axes.get_title().startswith(words)
    assert axes.get_title().endswith("largest weight of 4: 50 % of all")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2.0, 1.0, 0.6, 0.4])
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3, 4]


def test_rows_beside_others_and_labels_out_of_step_are_caught(drawn, monkeypatch):
    """Planted: the second picture of each pair is shifted by one, and colours are left unshuffled."""
    module = importlib.import_module("taut.report.figures.reconstructions")
    real = module.assemble
    monkeypatch.setattr(module, "assemble", lambda t, **k: real(np.roll(t, 1, axis=1), **k))
    with pytest.raises(AssertionError):
        test_every_row_is_above_its_own_reconstruction_and_named_so(drawn)
    drawn.clear()
    module = importlib.import_module("taut.report.figures.latent_scatter")
    classes = module.as_classes
    monkeypatch.setattr(
        module, "as_classes", lambda x: classes(x)._replace(codes=np.roll(classes(x).codes, 1))
    )
    with pytest.raises(AssertionError):
        test_points_have_the_colour_of_their_own_label(2, drawn)
