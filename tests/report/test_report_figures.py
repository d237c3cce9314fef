"""Every figure: a readable PNG for every kind of data, without warnings, overlaps or clipped text."""

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from sklearn.decomposition import PCA

from taut.core import InputError
from taut.report import figures
from taut.report.style import DPI, legible, new_figure, save

RNG = np.random.default_rng(7)
STEPS = np.arange(3000)
BOUND = -100.0 - 5e4 * np.exp(-STEPS / 20) + RNG.normal(size=3000)
LOOKED = np.arange(49, 3000, 50)
TABLE = RNG.normal(size=(200, 13)) * 10.0 ** np.arange(-6, 7)
NAMES = [f"a name of column {i} that is much too long for a panel" for i in range(13)]
IMAGES = RNG.uniform(size=(20, 8, 8))
LINES = RNG.uniform(size=(5, 10, 8, 8))
ENDS = RNG.uniform(size=(5, 2, 8, 8))
LATENTS = RNG.normal(size=(300, 5)) * np.arange(1, 6)
DIGITS = RNG.integers(10, size=300)


def _table(name: str, *arrays: np.ndarray, **options: object) -> Callable[[Path], Path]:
    shape = (arrays[0].shape[-1],)
    return lambda path: getattr(figures, name)(path, *arrays, kind="table", shape=shape, **options)


def _image(name: str, *arrays: np.ndarray, shape: tuple[int, ...], **options: object):
    return lambda path: getattr(figures, name)(path, *arrays, kind="image", shape=shape, **options)


def _curves(**options: object) -> Callable[[Path], Path]:
    usual = {
        "steps": STEPS,
        "train_bound": BOUND,
        "validation_steps": LOOKED,
        "validation": BOUND[LOOKED] - 1,
        "bound_name": "elbo",
    }
    return lambda path: figures.learning_curves(path, **{**usual, **options})


def _latents(z: np.ndarray, **options: object) -> Callable[[Path], Path]:
    return lambda path: figures.latent_scatter(path, z, **options)


def _khat(values: np.ndarray) -> Callable[[Path], Path]:
    return lambda path: figures.khat(path, values, 0.7)


def _pairs(values: np.ndarray, names: list[str] | None = None) -> Callable[[Path], Path]:
    weights = np.arange(1.0, len(values) + 1) / np.sum(np.arange(1.0, len(values) + 1))
    names = [f"coordinate[{i}]" for i in range(values.shape[-1])] if names is None else names
    return lambda path: figures.pairs(path, values, weights, values[::2], names)


def _trace(rounds: int, **options: object) -> Callable[[Path], Path]:
    usual = {
        "steps": np.arange(rounds) * 7 + 80,
        "bound": -1850.0 - 3.0 / np.arange(1, rounds + 1),
        "bound_error": np.full(rounds, 0.1),
        "gain": 1.0 / np.arange(1, rounds + 1),
        "gain_error": np.full(rounds, 0.05),
        "won": np.zeros(rounds, bool),
        "precision_nats": 0.1,
    }
    return lambda path: figures.bound_trace(path, **{**usual, **options})


def _tail(weights: np.ndarray, khat: float) -> Callable[[Path], Path]:
    return lambda path: figures.weight_tail(path, weights, khat, 0.7)


def _gradients(names: list[str], variances: list[float], **options: object) -> Callable:
    count = len(names)
    return lambda path: figures.gradients(
        path, names, [0.4 + i for i in range(count)], variances, [v / 20 for v in variances],
        [i % 3 == 2 for i in range(count)], group="guide", **options,
    )  # fmt: skip


HEAVY = np.arange(1.0, 2001.0) ** -0.8 / np.sum(np.arange(1.0, 2001.0) ** -0.8)
NONE = np.zeros(0)
USUAL = {
    "pairs, 3": _pairs(LATENTS[:, :3]),
    "pairs, many of unlike scales": _pairs(TABLE, NAMES),
    "bound, three rounds": _trace(3),
    "bound, rounds and stretches": _trace(
        4, won=np.array([False, True, True, True]), gain=np.array([0.05, 0.3, -0.05, 0.01])
    ),
    "weights, heavy": _tail(HEAVY, 0.8),
    "curves": _curves(validation_error=np.full(60, 0.5), best_step=2950),
    "curves, no validation": _curves(validation_steps=NONE, validation=NONE),
    "curves, upper bound": _curves(
        train_bound=-BOUND, validation=-BOUND[LOOKED], side="upper bound"
    ),
    "samples, grey": _image("samples", IMAGES, shape=(8, 8)),
    "samples, colour": _image("samples", RNG.uniform(size=(9, 32, 20, 3)), shape=(32, 20, 3)),
    "samples, reals": _image("samples", RNG.normal(size=(9, 5, 40)), shape=(5, 40)),
    "samples, table": _table("samples", TABLE, data=TABLE[::2], columns=NAMES),
    "samples, no data": _table("samples", TABLE),
    "reconstructions, images": _image("reconstructions", IMAGES, IMAGES**2, shape=(8, 8)),
    "reconstructions, table": _table("reconstructions", TABLE, TABLE * 0.9, columns=NAMES),
    "interpolation, images": _image("interpolation", LINES, ends=ENDS, shape=(8, 8)),
    "interpolation, table": _table(
        "interpolation", LINES.reshape(5, 10, 64), ends=ENDS.reshape(5, 2, 64)
    ),
    "latents, 5": _latents(LATENTS, label=DIGITS, scale=np.full((300, 5), 0.3)),
    "latents, 2": _latents(LATENTS[:, :2]),
    "latents, 1": _latents(LATENTS[:, :1], label=DIGITS % 3, scale=np.full((300, 1), 0.3)),
    "latents, numbers": _latents(LATENTS, label=LATENTS[:, 0]),
    "latents, many words": _latents(LATENTS, label=[f"kind {i % 20}" for i in range(300)]),
    "khat": _khat(RNG.normal(0.5, 0.2, size=400)),
    "gradients": _gradients(["disarm", "rebar", "gumbel-softmax", "vimco"], [90.0, 40.0, 1.0, 4e3]),
}
EXTREME = {
    "gradients, without variance": _gradients(["enumeration"], [0.0]),
    "gradients, one": _gradients(["stl"], [1e-12]),
    "curves, one step": _curves(
        steps=STEPS[:1], train_bound=BOUND[:1], validation_steps=STEPS[:1], validation=BOUND[:1],
        validation_error=np.asarray([np.nan]), best_step=1,
    ),
    "curves, not finite": _curves(
        train_bound=np.where(STEPS % 2, np.nan, -np.inf), validation=np.full(60, np.nan)
    ),
    "curves, constant": _curves(train_bound=np.zeros(3000), validation=np.zeros(60)),
    "samples, one pixel": _image("samples", np.ones((1, 1, 1)), shape=(1, 1)),
    "samples, one line": _image("samples", RNG.uniform(size=(3, 1, 900)), shape=(1, 900)),
    "samples, large": _image("samples", RNG.uniform(size=(3, 300, 200, 3)), shape=(300, 200, 3)),
    "samples, five channels": _image("samples", RNG.uniform(size=(3, 4, 4, 5)), shape=(4, 4, 5)),
    "samples, many": _image("samples", np.tile(IMAGES[:, :2, :2], (20, 1, 1)), shape=(2, 2)),
    "samples, missing cells": _image("samples", np.full((2, 4, 4), np.nan), shape=(4, 4)),
    "samples, one row and column": _table("samples", np.ones((1, 1)), data=np.ones((1, 1))),
    "samples, constant": _table("samples", np.full((9, 3), 1e30), data=np.full((9, 3), 1e30)),
    "samples, missing column": _table(
        "samples", np.asarray([[np.nan, 1.0]] * 4), data=np.asarray([[np.nan, np.inf]] * 3)
    ),
    "samples, apart": _table("samples", TABLE[:, :2] + 1e9, data=TABLE[:, :2]),
    "samples, 1000 columns": _table("samples", RNG.poisson(3, size=(50, 1000))),
    "samples, odd names": _table("samples", np.eye(3), columns=["$a_b$ $c", "年齢\n%", ""]),
    "reconstructions, one image": _image(
        "reconstructions", IMAGES[:1], IMAGES[:1], shape=(8, 8)
    ),
    "reconstructions, one row": _table("reconstructions", np.ones((1, 1)), np.ones((1, 1))),
    "reconstructions, missing": _table("reconstructions", np.full((2, 2), np.nan), np.ones((2, 2))),
    "reconstructions, 1000 columns": _table(
        "reconstructions", RNG.normal(size=(5, 1000)), np.zeros((5, 1000))
    ),
    "interpolation, one point": _image("interpolation", LINES[:1, :1], shape=(8, 8)),
    "interpolation, many points": _image(
        "interpolation", RNG.uniform(size=(30, 50, 4, 6)), shape=(4, 6)
    ),
    "interpolation, one column": _table("interpolation", np.ones((1, 1, 1)), ends=np.ones((1, 2, 1))),
    "latents, one row": _latents(np.zeros((1, 8)), label=["only"], scale=np.zeros((1, 8))),
    "latents, one number": _latents(np.zeros((1, 1)), scale=np.zeros((1, 1))),
    "latents, not finite": _latents(
        np.asarray([[np.nan] * 3, [1.0] * 3]), scale=np.full((2, 3), np.inf), label=[np.nan, np.nan]
    ),
    "latents, far": _latents(np.asarray([[1e12, 0.0], [0.0, 1e-12]]), label=[True, None]),
    "pairs, one constant": _pairs(np.ones((50, 1))),
    "bound, one round, gain unknown": _trace(1, gain=np.array([np.inf]), gain_error=np.array([np.inf])),
    "bound, not finite": _trace(2, bound=np.array([-np.inf, -3.0]), precision_nats=None),
    "weights, constant": _tail(np.full(100, 0.01), -np.inf),
    "weights, one draw has all": _tail(np.eye(100)[0], np.nan),
    "khat, none": _khat(np.full(4, np.nan)),
    "khat, exact": _khat(np.full(4, -np.inf)),
    "khat, one": _khat(np.asarray([0.8])),
    "khat, some": _khat(np.asarray([np.nan, np.inf, -np.inf, 0.1, 0.2, 0.9])),
}  # fmt: skip


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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that functions drew, instead of files."""
    kept: list[Figure] = []

    def keep(figure: Figure, path: Path | str) -> Path:
        kept.append(figure)
        return Path(path)

    for name in figures.__all__:
        monkeypatch.setattr(importlib.import_module(f"taut.report.figures.{name}"), "save", keep)
    return kept


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
    _curves()(Path("unused.png"))
    line = next(x for x in drawn[0].axes[0].lines if x.get_label() == "training, running mean")
    step, value = line.get_xdata()[500], line.get_ydata()[500]
    # 3000 steps make 1000 blocks of 3; a window spans 21 blocks, 63 steps.
    assert value == pytest.approx(BOUND[step.astype(int) - 30 : step.astype(int) + 33].mean())


def test_a_table_shows_its_twelve_most_varied_columns(drawn: list[Figure]):
    x = np.zeros((40, 1000))
    varied = RNG.permutation(1000)[:12]
    x[:, varied] = RNG.normal(size=(40, 12))
    _table("samples", x)(Path("unused.png"))
    assert {a.get_title() for a in drawn[0].axes} == {f"x{i}" for i in varied}
    assert "12 of 1000 columns" in drawn[0].get_suptitle()


def test_principal_axes_and_their_shares_are_those_of_pca(drawn: list[Figure]):
    _latents(LATENTS)(Path("unused.png"))
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
    _latents(z, scale=np.broadcast_to(scale, z.shape))(Path("unused.png"))
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
    assert "1 row of constant weights" in words
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
    _table("samples", x, data=np.linspace(0.0, 1.0, 101)[:, None])(Path("unused.png"))
    assert [t.get_text() for t in drawn[0].axes[0].texts] == ["25 % beyond"]


def test_a_figure_has_the_size_it_was_given(tmp_path: Path):
    figure = new_figure(1.0, 1.0, constrained=False)
    assert imread(save(figure, tmp_path / "empty.png")).shape[:2] == (DPI, DPI)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            _image("samples", IMAGES, shape=(9, 9)),
            r"samples: expected at least one row in an array of shape \(rows, 9, 9\), got shape "
            r"\(20, 8, 8\). Try the rows of one data set, leading axis first.",
        ),
        (_table("samples", np.zeros((0, 2))), "expected at least one row in an array"),
        (
            _table("samples", TABLE, columns=["a"]),
            "samples: expected 13 column names, got 1. Try columns=None.",
        ),
        (_table("samples", TABLE, data=TABLE[:, :2]), "samples, data: expected at least one row"),
        (
            _table("reconstructions", TABLE, TABLE[:3]),
            "reconstructions: expected one reconstruction for each row, got 3 for 200 rows.",
        ),
        (
            _image("interpolation", LINES, ends=ENDS[:2], shape=(8, 8)),
            r"interpolation: expected two ends for each of 5 lines, got ends of shape \(2, 2, 8, 8\)",
        ),
        (_curves(steps=NONE, train_bound=NONE), "learning curves: expected at least one step, got"),
        (
            _curves(train_bound=BOUND[:5]),
            r"steps and train_bound of one length, got shapes \(3000,\)",
        ),
        (_curves(validation=NONE), "expected validation_steps and validation of one length"),
        (_curves(validation_error=NONE), "expected validation and validation_error of one length"),
        (_pairs(np.zeros((9, 0))), r"pairs: expected at least one coordinate with its name, got"),
        (_pairs(LATENTS, ["a"]), r"draws of shape \(300, 5\) and 1 names"),
        (_trace(0), "bound trace: expected at least one round, got none"),
        (_tail(NONE, 0.2), "weights: expected at least one weight, got none"),
        (_khat(NONE), "k-hat: expected at least one row, got none"),
        (_latents(np.zeros(3)), r"latents: expected latents of shape \(rows, dimensions\)"),
        (_latents(np.full((2, 2), np.nan)), "one of them finite"),
        (_latents(LATENTS, label=[1]), r"latents, label: expected 300 labels, got shape \(1,\)"),
        (
            _latents(LATENTS, scale=np.ones(5)),
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
