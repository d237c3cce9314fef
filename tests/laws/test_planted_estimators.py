"""Each planted mistake moves the mean gradient by a thousand times what the laws let pass."""

import pytest
from estimator_routes import EXACT, ROUTES, expected_gradient, largest_error, mean_gradient
from planted_estimators import (
    BaselineOfThisBatch,
    DropsLogQ,
    FrozenPath,
    GeometricMeanOfAll,
    LiveSignal,
    MeanOfAllDraws,
    ScoreOfTheLogarithmDropped,
    SignalWithoutLogQ,
    SquaredWeights,
    SticksToTheLanding,
    WrongFactor,
)

from taut.bounds import ELBO, IWAE, Renyi

ELBO_1 = ELBO(kl="sampled")
ELBO_2 = ELBO(kl="sampled", num_draws=2)
IWAE_2 = IWAE(num_particles=2)
RENYI_2 = Renyi(alpha=0.5, num_particles=2)

PLANTED = [
    (DropsLogQ(), ELBO_1, "quadrature"),
    (DropsLogQ(), IWAE_2, "quadrature"),
    (WrongFactor(), ELBO_1, "quadrature"),
    (WrongFactor(), IWAE_2, "quadrature"),
    (FrozenPath(), ELBO_1, "quadrature"),
    (FrozenPath(), IWAE_2, "quadrature"),
    (SticksToTheLanding(), IWAE_2, "quadrature"),
    (SticksToTheLanding(), RENYI_2, "quadrature"),
    (SquaredWeights(), RENYI_2, "quadrature"),
    (SignalWithoutLogQ(), ELBO_1, "enumeration"),
    (LiveSignal(), ELBO_1, "enumeration"),
    (BaselineOfThisBatch(), ELBO_1, "enumeration"),
    (MeanOfAllDraws(), ELBO_2, "enumeration"),
    (ScoreOfTheLogarithmDropped(), IWAE_2, "enumeration"),
    (GeometricMeanOfAll(), IWAE_2, "enumeration"),
]


@pytest.mark.parametrize(
    ("mistake", "bound", "shown_by"), PLANTED, ids=[f"{m.name}-{b.name}" for m, b, _ in PLANTED]
)
def test_a_mistaken_estimator_is_caught(mistake, bound, shown_by, float64):
    gradient = mean_gradient(mistake, bound, ROUTES[shown_by]())
    error = largest_error(gradient.guide, expected_gradient(bound, shown_by).guide)
    assert error > 1e3 * EXACT[shown_by]


def test_what_is_planted_in_sticking_the_landing_is_the_bound_alone(float64):
    gradient = mean_gradient(SticksToTheLanding(), ELBO_1, ROUTES["quadrature"]())
    expected = expected_gradient(ELBO_1, "quadrature")
    assert largest_error(gradient, expected) < EXACT["quadrature"]
