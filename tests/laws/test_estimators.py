"""Registry x law: the mean gradient of every surrogate is the gradient of the expected objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from estimator_routes import (
    EXACT,
    INSTANCES,
    ROUTES,
    expected_gradient,
    gaussian_route,
    largest_error,
    mean_gradient,
    moved_state,
)
from known_models import FedGuide, datum, location_scale
from registered import concrete_subclasses

import taut.gradients
from taut.bounds import ELBO, IWAE
from taut.core import InputError, particles
from taut.gradients import ESTIMATORS, AbstractEstimator

# Claims shown piece by piece, over discrete latents, are in `test_discrete_estimators`.
CLAIMS = [
    (cls, claim) for cls in ESTIMATORS.values() for claim in cls.claims if claim.shown_by in ROUTES
]


def test_every_estimator_is_registered_under_its_name():
    assert concrete_subclasses(AbstractEstimator, taut.gradients) == set(ESTIMATORS.values())
    assert all(cls.name == name for name, cls in ESTIMATORS.items())


def test_every_estimator_claims_something():
    assert all(cls.claims for cls in ESTIMATORS.values())


@pytest.mark.parametrize(
    ("estimator", "claim"), CLAIMS, ids=[f"{e.name}-{c.bound}-{c.shown_by}" for e, c in CLAIMS]
)
def test_the_mean_gradient_is_the_gradient_of_the_expectation(estimator, claim, float64):
    route, within, served = ROUTES[claim.shown_by](), EXACT[claim.shown_by], 0
    for bound in INSTANCES[claim.bound, claim.shown_by]:
        try:
            gradient = mean_gradient(estimator(), bound, route)
        except InputError:
            continue  # a variant that the estimator refuses with a reason
        served += 1
        expected = expected_gradient(bound, claim.shown_by)
        if claim.model == "unbiased":
            assert largest_error(gradient.model, expected.model) < within, bound
        if claim.guide == "unbiased":
            assert largest_error(gradient.guide, expected.guide) < within, bound
    assert served


@pytest.mark.parametrize("estimator", dict.fromkeys(cls for cls, _ in CLAIMS))
def test_the_reported_value_is_the_bound_and_not_the_objective(estimator, float64):
    serves_elbo = any(claim.bound == "elbo" for claim in estimator.claims)
    bound = ELBO(beta=0.3, kl="sampled", num_draws=2) if serves_elbo else IWAE(num_particles=2)
    route = gaussian_route()
    guide = FedGuide(route.pair.guide, jnp.array([0.7, -0.4]), location_scale)
    aux = moved_state(estimator(), route)

    @jax.jit
    def both(key):
        made = particles(route.pair.model, guide, guide, datum(route.x), key, 2)
        result = estimator()(bound, route.pair.model, guide, datum(route.x), key, aux=aux)
        return result.value, bound(made), bound.objective(made, 0)

    reported, value, objective = both(jax.random.key(0))
    np.testing.assert_allclose(reported, value, rtol=1e-14)
    assert not serves_elbo or abs(float(reported - objective)) > 0.01
