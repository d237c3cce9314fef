"""What figures are made of: which columns, which bins, which classes, which pixels."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import entropy

from taut.report.classes import as_classes
from taut.report.columns import most_informative, shared_edges
from taut.report.mosaic import as_rgb, assemble, grey_range

RNG = np.random.default_rng(3)


def test_columns_are_ranked_by_the_entropy_of_their_bins():
    x = np.stack(
        [np.ones(500), RNG.normal(size=500), RNG.uniform(size=500), RNG.integers(2, size=500)],
        axis=1,
    )
    expected = [
        entropy(np.histogram(c, 32, (c.min(), c.min() + max(np.ptp(c), 1.0)))[0])
        for c in np.append(x, RNG.exponential(size=(500, 1)), axis=1).T
    ]
    assert np.argsort(expected[:4])[::-1].tolist() == most_informative(x).tolist() == [2, 1, 3, 0]


def test_columns_of_sorted_rows_are_ranked_by_all_of_them():
    late = np.where(np.arange(1000) < 600, 0.0, RNG.uniform(size=1000))
    x = np.stack([RNG.integers(2, size=1000).astype(float), late], axis=1)
    assert most_informative(x).tolist() == [1, 0]


def test_missing_cells_do_not_make_a_column_informative():
    x = np.stack([np.where(RNG.uniform(size=99) < 0.5, np.nan, 1.0), RNG.normal(size=99)], axis=1)
    assert most_informative(x).tolist() == [1, 0]
    assert most_informative(np.full((4, 3), np.nan)).tolist() == [0, 1, 2]


def test_whole_numbers_get_a_bin_each():
    counts = RNG.poisson(3.0, size=300).astype(float)
    values, times = np.unique(counts, return_counts=True)
    found = np.histogram(counts, shared_edges(counts))[0]
    assert found[(values - counts.min()).astype(int)].tolist() == times.tolist()
    assert found.sum() == 300


@pytest.mark.parametrize(
    "values", [np.full(5, 2.5), np.full(5, -1e30), np.full(5, 1e-30), np.asarray([np.inf, 1.5])]
)
def test_a_constant_column_falls_into_one_bin(values: np.ndarray):
    edges = shared_edges(values)
    assert np.all(np.diff(edges) > 0)
    finite = values[np.isfinite(values)]
    assert np.histogram(finite, edges)[0].max() == finite.size


def test_one_outlier_does_not_squeeze_the_bins():
    values = np.append(RNG.normal(size=2000), 1e6)
    assert shared_edges(values)[-1] < 10


def test_few_numbers_and_words_are_classes():
    classes = as_classes(np.asarray([2.0, 0.0, np.nan, 2.0]))
    assert classes is not None
    assert classes.names == ["0", "2"]
    assert classes.codes.tolist() == [1, 0, 12, 1]
    words = as_classes(np.asarray(["b", None, "a"], object))
    assert words is not None
    assert words.names == ["a", "b"]
    assert words.codes.tolist() == [1, 12, 0]


def test_many_numbers_are_a_scale():
    classes = as_classes(np.arange(13))
    assert classes is not None
    assert classes.names == []
    assert classes.values.tolist() == list(range(13))


def test_of_many_words_the_commonest_are_named():
    label = np.repeat([f"w{i:02d}" for i in range(14)], np.arange(1, 15))
    classes = as_classes(label)
    assert classes is not None
    assert classes.names == [f"w{i:02d}" for i in range(2, 14)]
    assert (classes.codes == 12).sum() == 1 + 2


def test_labels_that_are_all_missing_are_none():
    assert as_classes(np.asarray([np.nan, np.nan])) is None
    assert as_classes(np.asarray([None], object)) is None


def test_grey_values_keep_their_scale_and_reals_get_one():
    assert grey_range(np.asarray([0.2, 0.4])) == (0.0, 1.0)
    assert grey_range(np.asarray([-2.0, 3.0, np.nan])) == (-2.0, 3.0)
    assert grey_range(np.asarray([7.0, 7.0])) == (6.5, 7.5)


def test_missing_cells_have_a_colour_that_is_no_grey():
    red, green, blue = as_rgb(np.asarray([[[np.nan]]]), (1, 1), (0.0, 1.0))[0, 0, 0]
    assert red < green < blue


def test_large_images_are_averaged():
    image = RNG.uniform(size=(600, 450))
    tiles = as_rgb(image[None, None], (600, 450), (0.0, 1.0))
    pixels = assemble(tiles).pixels
    assert pixels.shape == (150, 113, 3)
    assert pixels[3, 5, 0] == pytest.approx(image[12:16, 20:24].mean())
    assert pixels[3, -1, 0] == pytest.approx(image[12:16, [448, 449, 449, 449]].mean())


def test_gaps_are_white_and_labels_sit_on_centres():
    tiles = np.zeros((2, 3, 10, 10, 3))
    mosaic = assemble(tiles, row_gaps=[4], column_gaps=[1, 2])
    white = (mosaic.pixels == 1).all(axis=-1)
    assert np.flatnonzero(white.all(axis=0)).size == 3 * 6
    assert np.flatnonzero(white.all(axis=1)).size == 4 * 6
    for row in mosaic.rows:
        assert not white[int(row), int(mosaic.columns[1])]
    assert mosaic.columns[1] - mosaic.columns[0] == 150 + 6


def test_loading_the_report_draws_nothing_in():
    code = "import sys, taut, taut.report; print({'matplotlib', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_figures_do_without_pyplot():
    code = "import sys, taut.report.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_part_is_an_attribute_error():
    import taut.report

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = taut.report.nothing
