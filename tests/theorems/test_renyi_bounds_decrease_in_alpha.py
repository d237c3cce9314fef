"""L_alpha = 1 / (1 - alpha) log E_q[w^(1 - alpha)] does not increase with alpha.

It is log p(x) at alpha = 0, where its K-sample estimate is the IWAE bound, and the ELBO in the limit
alpha -> 1. Sampled with alpha < 0 it bounds nothing: its expectation lies below log p(x) for few draws
and above for many.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    FedGuide,
    NormalGuide,
    TableModel,
    counts_of_two,
    datum,
    given,
    location_scale,
    log_sum,
    normal_rule,
)
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from taut.bounds import ELBO, IWAE, Renyi
from taut.core import particles

ORDERS = (-3.0, -1.0, -0.2, 0.0, 0.3, 0.9, 1.0, 1.1, 2.0, 5.0)
LOGITS = np.array([-0.4, 0.7])
X = 0


def two_outcomes() -> TableModel:
    return TableModel(jnp.array([0.3, -0.8]), jnp.array([[0.2, 1.0], [-1.4, 0.9]]))


def enumerated():
    model, guide = two_outcomes(), EnumeratedGuide(jnp.asarray(LOGITS))
    return particles(model, guide, guide, datum(X), jax.random.key(0), 1)


def test_the_closed_bounds_decrease(float64):
    made, log_joint = enumerated(), two_outcomes().log_joint_table()[:, X]
    bounds = [float(Renyi(alpha=alpha)(made)) for alpha in ORDERS]
    assert np.all(np.diff(bounds) < 0)
    np.testing.assert_allclose(bounds[ORDERS.index(0.0)], log_sum(log_joint), rtol=1e-13)
    # The divergence form: log p(x) - D_alpha(q to posterior), for an order that scipy knows nothing of.
    posterior, q = softmax(log_joint), softmax(LOGITS)
    for alpha, bound in zip(ORDERS, bounds, strict=True):
        if alpha != 1.0:
            divergence = np.log(q**alpha @ posterior ** (1 - alpha)) / (alpha - 1)
            np.testing.assert_allclose(bound, log_sum(log_joint) - divergence, rtol=1e-12)


def test_the_closed_bounds_of_a_gaussian_decrease(float64):
    """By quadrature masses, against the integral of Gaussian powers in closed form."""
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    guide = NormalGuide(jnp.array(0.2), jnp.array(-0.1), jnp.array(-0.2))
    nodes, weights = map(jnp.asarray, normal_rule(0.05, 12.0))
    fed = FedGuide(guide, nodes, location_scale, weights)
    x = 0.8
    made = particles(model, fed, fed, datum(x), jax.random.key(0), 1)
    mean, scale = model.posterior(x)
    m, s = 0.2 * x - 0.1, np.exp(-0.2)
    bounds = []
    for alpha in (-0.5, 0.0, 0.5, 1.0, 1.2):
        bound = float(Renyi(alpha=alpha)(made))
        bounds.append(bound)
        if alpha == 1.0:
            continue
        # D_alpha between N(m, s^2) and N(mean, scale^2), van Erven and Harremoes (2014), eq. 10.
        mixed = (1 - alpha) * s**2 + alpha * scale**2
        divergence = 0.5 * alpha * (m - mean) ** 2 / mixed + np.log(
            np.sqrt(mixed) / (s ** (1 - alpha) * scale**alpha)
        ) / (1 - alpha)
        np.testing.assert_allclose(bound, model.log_evidence(x) - divergence, rtol=1e-11)
    assert np.all(np.diff(bounds) < 0)
    np.testing.assert_allclose(
        bounds[1], norm.logpdf(x, -0.2, np.hypot(0.9, np.exp(-0.3))), rtol=1e-12
    )


def test_alpha_zero_is_iwae_draw_by_draw(float64):
    model, guide = two_outcomes(), CategoricalGuide(jnp.asarray(LOGITS))
    made = jax.jit(lambda key: particles(model, guide, guide, datum(X), key, 7))(jax.random.key(0))
    np.testing.assert_allclose(Renyi(alpha=0.0)(made), IWAE()(made), rtol=1e-14)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_alpha_to_one_is_the_elbo(side, float64):
    """The distance is (1 - alpha) Var(log w) / 2 to first order, so it shrinks tenfold each time."""
    made = enumerated()
    elbo = float(ELBO(kl="sampled")(made))
    q = softmax(LOGITS)
    log_w = two_outcomes().log_joint_table()[:, X] - log_softmax(LOGITS)
    np.testing.assert_allclose(elbo, q @ log_w, rtol=1e-13)
    slope = 0.5 * q @ (log_w - q @ log_w) ** 2
    errors = []
    for distance in (1e-1, 1e-2, 1e-3):
        bound = float(Renyi(alpha=1.0 + side * distance)(made))
        errors.append(abs((elbo - bound) / (side * distance) - slope))
    assert errors[2] < errors[1] < errors[0]
    np.testing.assert_allclose(Renyi(alpha=1.0)(made), elbo, rtol=1e-13)


def expected(alpha, k) -> float:
    """The expectation of the K-sample estimate, over all counts of the two outcomes."""
    model, guide = two_outcomes(), CategoricalGuide(jnp.asarray(LOGITS))
    draws, probabilities = counts_of_two(softmax(LOGITS)[1], k)

    @jax.jit
    @jax.vmap
    def value(z):
        fed = FedGuide(guide, z, given)
        made = particles(model, fed, fed, datum(X), jax.random.key(0), k)
        return Renyi(alpha=alpha, num_particles=k)(made)

    return float(probabilities @ value(jnp.asarray(draws)))


def test_a_negative_order_bounds_neither_way_when_sampled(float64):
    log_evidence = log_sum(two_outcomes().log_joint_table()[:, X])
    few, many = expected(-2.0, 1), expected(-2.0, 64)
    assert few < log_evidence - 0.01
    assert many > log_evidence + 0.01
    assert Renyi(alpha=-2.0).side == "none"


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_other_orders_stay_below_for_every_number_of_draws(alpha, float64):
    """Between the ELBO of one draw and the closed bound of infinitely many."""
    made = enumerated()
    limits = sorted([float(Renyi(alpha=alpha)(made)), float(Renyi(alpha=1.0)(made))])
    for k in (1, 2, 16):
        assert limits[0] - 1e-12 < expected(alpha, k) < limits[1] + 1e-12
    log_evidence = log_sum(two_outcomes().log_joint_table()[:, X])
    assert limits[1] < log_evidence + 1e-12
    assert Renyi(alpha=alpha).side == "lower"
