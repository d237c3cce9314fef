"""k-means against scikit-learn's, and what its race keeps."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from taut.inference.exact.distinct import distinct_rows
from taut.inference.exact.kmeans import kmeans, kmeans_plus_plus, lloyd

NUMBER = 6


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return about_centers(300)


def about_centers(number: int) -> np.ndarray:
    """Rows about six centers, some of which overlap."""
    generator = np.random.default_rng(1)
    centers = 2.0 * generator.normal(size=(NUMBER, 3))
    return centers[generator.integers(0, NUMBER, number)] + generator.normal(size=(number, 3))


@pytest.fixture(params=range(3))
def centers(request, x) -> np.ndarray:
    return x[kmeans_plus_plus(x, NUMBER, np.random.default_rng(request.param))]


def test_from_the_same_centers_lloyd_is_that_of_scikit_learn(x, centers):
    owner, means, scatter = lloyd(x, centers)
    reference = KMeans(NUMBER, init=centers, n_init=1, tol=0.0, algorithm="lloyd").fit(x)
    np.testing.assert_array_equal(owner, reference.labels_)
    np.testing.assert_allclose(means, reference.cluster_centers_, rtol=1e-10)
    assert scatter == pytest.approx(reference.inertia_, rel=1e-10)


def test_the_scatter_never_rises_and_a_run_in_two_parts_is_one_run(x, centers):
    scatters = [lloyd(x, centers, most=most).scatter for most in range(1, 12)]
    assert (np.diff(scatters) <= 1e-9 * scatters[0]).all()
    whole, begun = lloyd(x, centers), lloyd(x, centers, most=3)
    rest = lloyd(x, begun.centers)
    np.testing.assert_array_equal(rest.owner, whole.owner)
    np.testing.assert_array_equal(rest.centers, whole.centers)


def test_a_center_without_rows_stays_where_it_is(x):
    far = np.full((1, 3), 1e3)
    clusters = lloyd(x, np.concatenate([x[:2], far]))
    assert set(clusters.owner) == {0, 1}
    np.testing.assert_array_equal(clusters.centers[2], far[0])


@pytest.mark.parametrize("number", [300, 6000], ids=["all rows race", "a part races"])
def test_of_several_seedings_a_good_one_goes_on(number):
    """On average over keys, the race keeps no more scatter than one seeding leaves, run to its end."""
    x = about_centers(number)

    def scatter(owner: np.ndarray) -> float:
        return sum(((x[owner == k] - x[owner == k].mean(0)) ** 2).sum() for k in np.unique(owner))

    raced, single = [], []
    for key in range(20):
        raced.append(scatter(kmeans(x, NUMBER, np.random.default_rng(key))))
        seeds = kmeans_plus_plus(x, NUMBER, np.random.default_rng(key))
        single.append(lloyd(x, x[seeds]).scatter)
    assert np.mean(raced) < np.mean(single)
    assert max(raced) < max(single)


def test_clusters_that_a_part_of_the_rows_misses_are_found_among_all():
    x = np.zeros((20_000, 2))
    x[7], x[19_000] = (5.0, 0.0), (0.0, 5.0)
    for key in range(5):
        owner = kmeans(x, 3, np.random.default_rng(key))
        assert len({owner[0], owner[7], owner[19_000]}) == 3


def test_weights_count_as_rows_repeated(x):
    weight = np.random.default_rng(2).integers(1, 4, len(x)).astype(float)
    rows, sums = distinct_rows(np.repeat(x, weight.astype(int), axis=0), np.ones(int(weight.sum())))
    order = np.lexsort(x.T[::-1])
    np.testing.assert_array_equal(rows, x[order])
    np.testing.assert_array_equal(sums, weight[order])
    ours, theirs = (
        lloyd(x, x[:NUMBER], weight=weight),
        KMeans(NUMBER, init=x[:NUMBER], n_init=1, tol=0),
    )
    theirs.fit(x, sample_weight=weight)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-10)
    assert ours.scatter == pytest.approx(theirs.inertia_, rel=1e-10)
