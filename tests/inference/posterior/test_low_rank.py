"""Low-rank guides against Gaussian targets whose optimum is in the family, and the L-BFGS beneath."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_gaussian_family import Formula, Quadratic

import taut
from taut.core import Datum, InputError, as_proposal
from taut.inference.posterior import Gaussian, GaussianFamily, LogDensity, LowRank, LowRankFamily
from taut.inference.posterior.guide_choice import choose_guide
from taut.inference.posterior.low_rank import low_rank_objective

DIM, RANK = 7, 2
CENTRE = np.arange(DIM) * 10.0


def low_rank_covariance():
    """Diagonal plus rank two in units of scales over four decades."""
    generator = np.random.default_rng(0)
    scale = 10.0 ** np.linspace(-2, 2, DIM)
    factor = 3 * generator.normal(size=(DIM, RANK))
    return scale[:, None] * (np.eye(DIM) + factor @ factor.T) * scale


COVARIANCE = low_rank_covariance()


@pytest.fixture
def target(float64):
    precision = np.linalg.inv(COVARIANCE)
    return LogDensity(Quadratic((precision + precision.T) / 2), Datum(CENTRE))


@pytest.fixture
def start(target):
    family = GaussianFamily(target, DIM, diagonal=True)
    draws = family.draws(np.random.default_rng(0), 8)
    begin = Gaussian(np.zeros(DIM), 0.1 * np.eye(DIM))
    return family.maximise(begin, draws, tolerance=1e-6).point


def test_the_optimum_on_a_gaussian_of_that_rank_is_the_gaussian(target, start):
    family = LowRankFamily(target, DIM, RANK)
    draws = family.draws(np.random.default_rng(1), 4)
    found = family.maximise(family.start(start, draws), draws, tolerance=1e-12)
    assert found.converged
    # The balanced draws have second moment c I instead of I, which scales the optimum by 1 / c.
    tril = np.sqrt(np.mean(draws**2)) * found.point.dense.tril
    scale = np.sqrt(np.diagonal(COVARIANCE))
    np.testing.assert_allclose(
        (tril @ tril.T) / scale / scale[:, None], COVARIANCE / scale / scale[:, None], atol=1e-5
    )
    np.testing.assert_allclose((found.point.mean - CENTRE) / scale, 0, atol=1e-5)
    planted = start.tril @ start.tril.T
    assert np.abs(planted / scale / scale[:, None] - np.eye(DIM)).max() > 0.5


def test_the_start_has_the_directions_that_mean_field_lacks(target, start):
    """Without them, the guide is the mean-field optimum."""
    family = LowRankFamily(target, DIM, RANK)
    draws = family.draws(np.random.default_rng(2), 4)
    begun = family.start(start, draws)
    value = family.value(begun, draws)
    best = family.maximise(begun, draws, tolerance=1e-9).value
    without = begun._replace(factor=1e-3 * begun.factor)
    lost_by_mean_field = best - family.value(without, draws)
    assert best - value < lost_by_mean_field / 2


def test_gradients_are_those_of_the_average(target):
    family, generator = LowRankFamily(target, DIM, RANK), np.random.default_rng(3)
    draws = family.draws(generator, 2)
    guide = LowRank(CENTRE + 0.1, np.full(DIM, 0.3), generator.normal(size=(DIM, RANK)))
    function = low_rank_objective(target, guide, draws)
    x = 0.1 * generator.normal(size=DIM * (RANK + 2))
    along, step = generator.normal(size=x.shape), 1e-5
    difference = (function(x + step * along)[0] - function(x - step * along)[0]) / (2 * step)
    np.testing.assert_allclose(function(x)[1] @ along, difference, rtol=1e-6)


def test_the_guide_has_the_density_of_its_gaussian(target):
    generator = np.random.default_rng(4)
    family = LowRankFamily(target, DIM, RANK)
    guide = LowRank(CENTRE, generator.uniform(0.1, 2, DIM), generator.normal(size=(DIM, RANK)))
    z = family.sample(guide, generator, 3)
    q = as_proposal(family.guide(guide)(Datum(CENTRE)))
    minted = [-q.terms(jnp.asarray(one))["-log_q"] for one in z]
    np.testing.assert_allclose(minted, family.log_q(guide, z), rtol=1e-8)


@pytest.mark.parametrize(
    ("wish", "dim", "subsampled", "found"),
    [
        (None, 150, False, ("full-rank", 0, "")),
        (None, 151, False, ("low-rank", 8, "")),
        (None, 3, True, ("structured", 0, "")),
        ("low-rank", 4, False, ("low-rank", 3, "")),
        ("low-rank:2", 4, False, ("low-rank", 2, "")),
        ("mean-field", 900, False, ("mean-field", 0, "")),
    ],
)
def test_the_family_follows_the_wish_or_the_dimension(wish, dim, subsampled, found):
    assert choose_guide(wish, dim, subsampled=subsampled) == found


@pytest.mark.parametrize(
    ("wish", "dim", "message"),
    [
        (
            "low-rank:9",
            5,
            r"^guide: expected a rank between 1 and 4, .* got 'low-rank:9'\. Try low-r",
        ),
        ("low-rank:0", 5, r"^guide: expected a rank between 1 and 4"),
        ("low-rank:x", 5, r"^guide: expected a rank between 1 and 4"),
        ("low-rank", 1, r"^guide: expected a low-rank guide over at least two .* Try full-rank"),
        ("full-rank:3", 5, r"^guide: expected a guide in .* got 'full-rank:3'"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(wish, dim, message):
    with pytest.raises(InputError, match=message):
        choose_guide(wish, dim, subsampled=False)


def test_a_wide_direction_is_believed_with_it_and_not_without():
    """Equal correlations of 0.999: one direction is wide, which mean-field cannot hold."""

    def equal(z):
        return -0.5 * (jnp.sum(z**2) - 0.99 * jnp.sum(z) ** 2 / 5)

    found = {
        guide: taut.infer(equal, support={"z": ("real", 5)}, guide=guide, num_starts=1,
                          num_draws=2000, refine="none")
        for guide in ("low-rank:1", "mean-field")
    }  # fmt: skip
    assert found["low-rank:1"].verdict.verdict == "believe"
    assert found["low-rank:1"].family == "low-rank"
    exact = 2.5 * np.log(2 * np.pi) + 0.5 * np.log(100)
    evidence = found["low-rank:1"].estimates["log_evidence"]
    assert abs(evidence.value - exact) < 5 * evidence.mc_error
    assert found["mean-field"].verdict.verdict != "believe"


def test_mean_field_goes_on_where_newton_stops(float64):
    """Sixty-four coordinates on a ridge: the optimum of mean-field is the inverse diagonal."""
    dim = 64
    precision = np.eye(dim) - 0.999 * np.ones((dim, dim)) / dim
    density = LogDensity(Quadratic(precision), Datum(np.arange(dim) * 1.0))
    family = GaussianFamily(density, dim, diagonal=True)
    draws = family.draws(np.random.default_rng(5), 2)
    begin = Gaussian(np.zeros(dim), 0.1 * np.eye(dim))
    found = family.maximise(begin, draws, tolerance=1e-9)
    assert found.converged
    variance = np.mean(draws**2) * np.diagonal(found.point.tril) ** 2
    np.testing.assert_allclose(variance, 1 / np.diagonal(precision), rtol=1e-4)
    np.testing.assert_allclose(found.point.mean, np.arange(dim), atol=1e-3)


def test_a_flat_direction_widens_without_end_by_quasi_newton_too(float64):
    density = LogDensity(Formula(lambda z: -0.5 * z[0] ** 2), Datum(0.0))
    family = LowRankFamily(density, 2, 1)
    draws = family.draws(np.random.default_rng(0), 2)
    begin = LowRank(np.ones(2), np.full(2, 0.1), np.full((2, 1), 0.05))
    found = family.maximise(begin, draws, tolerance=0.01)
    assert found.unbounded
    assert not found.converged
    assert found.point.scale[1] > 1e6 > found.point.scale[0]
