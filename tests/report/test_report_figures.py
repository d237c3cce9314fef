"""Every figure: a readable PNG for every kind of data, without warnings, overlaps or clipped text."""

import itertools
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from figure_cases import (
    BOUND,
    ENDS,
    EXTREME,
    IMAGES,
    LATENTS,
    LINES,
    NONE,
    RNG,
    TABLE,
    USUAL,
    curves,
    image,
    khat,
    latents,
    pairs,
    table,
    tail,
    trace,
)
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from sklearn.decomposition import PCA

from taut.core import InputError
from taut.report import figures
from taut.report.figures.along_path import along_path
from taut.report.style import DPI, legible, new_figure, save


@pytest.mark.parametrize("name", [*USUAL, *EXTREME])
def test_writes_a_readable_picture_without_warnings(name: str, tmp_path: Path):
    before = dict(matplotlib.rcParams)
    path = {**USUAL, **EXTREME}[name](tmp_path / "figure.png")
    height, width, channels = imread(path).shape
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]
    assert channels == 4
    assert 1.0 < width / DPI < 9.0
    assert 0.4 < height / DPI < 14.0
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", list(USUAL))
def test_no_text_overlaps_or_leaves_the_figure(name: str, drawn: list[Figure]):
    USUAL[name](Path("unused.png"))
    (figure,) = drawn
    boxes = _text_boxes(figure)
    width, height = figure.bbox.size
    for text, box in boxes:
        assert -1 <= box.x0 <= box.x1 <= width + 1, text
        assert -1 <= box.y0 <= box.y1 <= height + 1, text
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{first!r} and {second!r}"


def test_the_check_for_overlaps_catches_one():
    figure = new_figure(4.0, 3.0)
    figure.text(0.5, 0.5, "one", fontsize=12)
    figure.text(0.52, 0.51, "another", fontsize=12)
    (_, first), (_, second) = _text_boxes(figure)
    assert first.overlaps(second)


def _text_boxes(figure: Figure) -> list[tuple[str, matplotlib.transforms.Bbox]]:
    """Bounds of all text that is seen."""
    figure.draw_without_rendering()
    texts = [
        t for t in [*figure.texts, figure._suptitle, figure._supxlabel, figure._supylabel] if t
    ]
    for axes in figure.axes:
        texts += [axes.title, *axes.texts]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            texts += [axis.label, axis.get_offset_text()]
            labels = axis.get_majorticklabels()
            ticks = axis.get_majorticklocs()
            if axes.axison and labels:  # none where an axis leaves them to its neighbour
                texts += [t for t, at in zip(labels, ticks, strict=True) if low <= at <= high]
    for legend in [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]:
        texts += [*legend.get_texts(), legend.get_title()]
    seen: list[Text] = [t for t in dict.fromkeys(texts) if t.get_visible() and t.get_text()]
    return [(t.get_text(), t.get_window_extent()) for t in seen]


def test_small_images_are_drawn_sharp_and_whole(tmp_path: Path):
    board = np.asarray([[[0.0, 1.0], [1.0, 0.0]]])
    figures.samples(tmp_path / "board.png", board, kind="image", shape=(2, 2))
    pixels = np.rint(imread(tmp_path / "board.png")[..., :3] * 255).astype(int)
    black = (pixels == 0).all(axis=-1)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert rows.size == columns.size == 150
    seen = black[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(seen, np.kron([[1, 0], [0, 1]], np.ones((75, 75))))


def test_colours_survive_the_way_to_the_file(tmp_path: Path):
    colours = np.asarray([[[[0.2, 0.4, 0.6]]], [[[1.0, 0.0, 0.0]]]])
    figures.samples(tmp_path / "two.png", colours, kind="image", shape=(1, 1, 3))
    pixels = np.rint(imread(tmp_path / "two.png")[..., :3] * 255).astype(int)
    for colour in ([51, 102, 153], [255, 0, 0]):
        assert (pixels == colour).all(axis=-1).sum() == 150 * 150


def test_equal_figures_give_equal_bytes(tmp_path: Path):
    first, second = (USUAL["latents, 5"](tmp_path / f"{i}.png") for i in range(2))
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_write_leaves_the_older_file(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        USUAL["khat"](tmp_path / "missing" / "khat.png")


def test_first_steps_do_not_decide_the_limits(drawn: list[Figure]):
    USUAL["curves"](Path("unused.png"))
    low, high = drawn[0].axes[0].get_ylim()
    assert -120 < low < -103
    assert -100 < high < -90
    assert BOUND[0] < -5e4


def test_the_kept_step_is_marked_with_the_value_it_was_kept_for(drawn: list[Figure]):
    USUAL["curves"](Path("unused.png"))
    words = [t.get_text() for t in drawn[0].legends[0].get_texts()]
    assert f"kept: step 2950 ({BOUND[2949] - 1:.2f})" in words


def test_axes_name_quantities_and_units(drawn: list[Figure]):
    USUAL["curves"](Path("unused.png"))
    axes = drawn[0].axes[0]
    assert axes.get_xlabel() == "step"
    assert axes.get_ylabel() == "ELBO [nats per row], lower bound"


def test_running_mean_is_the_mean_of_its_window(drawn: list[Figure]):
    curves()(Path("unused.png"))
    line = next(x for x in drawn[0].axes[0].lines if x.get_label() == "training, running mean")
    step, value = line.get_xdata()[500], line.get_ydata()[500]
    # 3000 steps make 1000 blocks of 3; a window spans 21 blocks, 63 steps. Steps count from 1.
    assert value == pytest.approx(BOUND[step.astype(int) - 31 : step.astype(int) + 32].mean())


def test_a_table_shows_its_twelve_most_varied_columns(drawn: list[Figure]):
    x = np.zeros((40, 1000))
    varied = RNG.permutation(1000)[:12]
    x[:, varied] = RNG.normal(size=(40, 12))
    table("samples", x)(Path("unused.png"))
    assert {a.get_title() for a in drawn[0].axes} == {f"x{i}" for i in varied}
    assert "12 of 1000 columns" in drawn[0].get_suptitle()


def test_principal_axes_and_their_shares_are_those_of_pca(drawn: list[Figure]):
    latents(LATENTS)(Path("unused.png"))
    axes = drawn[0].axes[0]
    reference = PCA(2).fit(LATENTS)
    shares = [f"{100 * s:.0f} % of variance" for s in reference.explained_variance_ratio_]
    assert axes.get_xlabel() == f"first principal axis of z, {shares[0]}"
    assert axes.get_ylabel() == f"second principal axis of z, {shares[1]}"
    shown = np.asarray(axes.collections[0].get_offsets())
    expected = reference.transform(LATENTS)
    shown = shown - shown.mean(axis=0)
    np.testing.assert_allclose(np.abs(shown), np.abs(expected), atol=1e-9)


def test_projected_posterior_ellipses_lie_at_one_standard_deviation(drawn: list[Figure]):
    scale = RNG.uniform(0.1, 2.0, size=(1, 5))
    z = LATENTS.copy()
    latents(z, scale=np.broadcast_to(scale, z.shape))(Path("unused.png"))
    axes = drawn[0].axes[0]
    ellipses = next(c for c in axes.collections if isinstance(c, EllipseCollection))
    width, height = ellipses.get_widths()[0], ellipses.get_heights()[0]
    angle = np.radians(ellipses.get_angles()[0])
    # The axes shown are recovered from where the rows lie, not from the code under test.
    shown = next(c for c in axes.collections if not isinstance(c, EllipseCollection))
    directions = np.linalg.lstsq(z, np.asarray(shown.get_offsets()), rcond=None)[0]
    draws = np.random.default_rng(1).normal(size=(200_000, 5)) * scale @ directions
    turned = draws @ np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    deviations = turned.std(axis=0)
    error = deviations / np.sqrt(2 * len(draws))
    assert np.all(np.abs(deviations - [width / 2, height / 2]) < 5 * error)
    assert abs(np.corrcoef(turned.T)[0, 1]) < 5 / np.sqrt(len(draws))


def test_circles_of_the_prior_have_radius_one_and_two(drawn: list[Figure]):
    USUAL["latents, 5"](Path("unused.png"))
    axes = drawn[0].axes[0]
    assert [p.get_radius() for p in axes.patches] == [1, 2]
    assert all(p.get_center() == (0, 0) for p in axes.patches)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_a_prior_that_is_no_standard_normal_is_not_drawn(drawn: list[Figure], dimensions):
    figures.latent_scatter(Path("unused.png"), LATENTS[:, :dimensions], normal_prior=False)
    axes = drawn[0].axes[0]
    assert not [patch for patch in axes.patches if hasattr(patch, "get_radius")]
    assert not [line for line in axes.lines if "prior" in str(line.get_label())]


def test_aggregated_posterior_and_bars_are_densities(drawn: list[Figure]):
    USUAL["latents, 1"](Path("unused.png"))
    axes = drawn[0].axes[0]
    bars = next(p for p in axes.patches if p.get_label() == "all rows")
    heights, edges, _ = bars.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1.0)
    aggregated = next(x for x in axes.lines if x.get_label() == "aggregated q")
    x, y = np.asarray(aggregated.get_xdata()), np.asarray(aggregated.get_ydata())
    centres, middle = LATENTS[:, 0], len(x) // 2
    expected = np.mean(
        np.exp(-0.5 * ((x[middle] - centres) / 0.3) ** 2) / (0.3 * np.sqrt(2 * np.pi))
    )
    assert y[middle] == pytest.approx(expected)


def test_khat_counts_what_it_does_not_draw(drawn: list[Figure]):
    EXTREME["khat, some"](Path("unused.png"))
    axes = drawn[0].axes[0]
    words = " ".join(t.get_text() for t in axes.texts)
    assert "1 row without k-hat" in words
    assert "1 row of weights without a tail" in words
    assert "1 row infinite" in words
    assert axes.get_title() == "k-hat of 6 rows, 33.3 % above 0.70"


def test_more_labels_than_colours_become_other(drawn: list[Figure]):
    USUAL["latents, many words"](Path("unused.png"))
    names = [t.get_text() for t in drawn[0].legends[1].get_texts()]
    assert len(names) == 13
    assert names[-1] == "other"


def test_names_are_cut_and_what_the_font_lacks_is_replaced():
    assert legible("short") == "short"
    assert legible("a" * 30) == "a" * 11 + "…" + "a" * 6
    assert legible("two\nlines\tof") == "two lines of"
    assert legible("年 π") == "? π"


def test_samples_beyond_the_data_are_counted(drawn: list[Figure]):
    x = np.concatenate([np.linspace(0.0, 1.0, 75), np.full(25, 9.0)])[:, None]
    table("samples", x, data=np.linspace(0.0, 1.0, 101)[:, None])(Path("unused.png"))
    assert [t.get_text() for t in drawn[0].axes[0].texts] == ["25 % beyond"]


def test_a_figure_has_the_size_it_was_given(tmp_path: Path):
    figure = new_figure(1.0, 1.0, constrained=False)
    assert imread(save(figure, tmp_path / "empty.png")).shape[:2] == (DPI, DPI)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            image("samples", IMAGES, shape=(9, 9)),
            r"samples: expected at least one row in an array of shape \(rows, 9, 9\), got shape "
            r"\(20, 8, 8\). Try the rows of one data set, leading axis first.",
        ),
        (table("samples", np.zeros((0, 2))), "expected at least one row in an array"),
        (
            table("samples", TABLE, columns=["a"]),
            "samples: expected 13 column names, got 1. Try columns=None.",
        ),
        (table("samples", TABLE, data=TABLE[:, :2]), "samples, data: expected at least one row"),
        (
            table("reconstructions", TABLE, TABLE[:3]),
            "reconstructions: expected one reconstruction for each row, got 3 for 200 rows.",
        ),
        (
            image("interpolation", LINES, ends=ENDS[:2], shape=(8, 8)),
            r"interpolation: expected two ends for each of 5 lines, got ends of shape \(2, 2, 8, 8\)",
        ),
        (curves(steps=NONE, train_bound=NONE), "learning curves: expected at least one step, got"),
        (
            curves(train_bound=BOUND[:5]),
            r"steps and train_bound of one length, got shapes \(3000,\)",
        ),
        (curves(validation=NONE), "expected validation_steps and validation of one length"),
        (curves(validation_error=NONE), "expected validation and validation_error of one length"),
        (pairs(np.zeros((9, 0))), r"pairs: expected at least one coordinate with its name, got"),
        (pairs(LATENTS, ["a"]), r"draws of shape \(300, 5\) and 1 names"),
        (trace(0), "bound trace: expected at least one round, got none"),
        (tail(NONE, 0.2), "weights: expected at least one weight, got none"),
        (khat(NONE), "k-hat: expected at least one row, got none"),
        (latents(np.zeros(3)), r"latents: expected latents of shape \(rows, dimensions\)"),
        (latents(np.full((2, 2), np.nan)), "one of them finite"),
        (latents(LATENTS, label=[1]), r"latents, label: expected 300 labels, got shape \(1,\)"),
        (
            latents(LATENTS, scale=np.ones(5)),
            r"latents, scale: expected scales of shape \(300, 5\)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    draw: Callable[[Path], Path], message: str, tmp_path: Path
):
    with pytest.raises(InputError, match=message):
        draw(tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_ways_of_other_lengths_are_drawn_together(tmp_path: Path):
    scores = [np.array([-1.0, 0.2, 0.6]), np.array([-0.5, 0.7])]
    drawn = along_path(tmp_path / "along.png", scores, [None, None], level=0.5, density_of=None)
    assert drawn.stat().st_size
