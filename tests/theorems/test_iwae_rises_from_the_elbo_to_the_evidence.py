"""ELBO = L_1 < L_2 < ... < L_K -> log p(x), with L_K = E log (1/K) sum_k w_k."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    FedGuide,
    NormalGuide,
    TableModel,
    counts_of_two,
    datum,
    given,
    grid,
    location_scale,
    log_sum,
    normal_rule,
    tuples,
)
from scipy.special import softmax
from scipy.stats import norm

from taut.bounds import IWAE
from taut.core import particles

EXACT = 1e-12


def expected_iwae(model, guide, x, draws, probabilities, path=given) -> float:
    """The average of the bound over configurations of K draws, (configurations, K)."""

    @jax.jit
    @jax.vmap
    def value(noise):
        fed = FedGuide(guide, noise, path)
        made = particles(model, fed, fed, datum(x), jax.random.key(0), draws.shape[1])
        return IWAE(num_particles=draws.shape[1])(made)

    return float(probabilities @ value(jnp.asarray(draws)))


def strictly_increasing(values) -> bool:
    return bool(np.all(np.diff(values) > 0))


def test_by_enumeration_of_all_tuples(float64):
    model = TableModel(
        jnp.array([0.2, -0.5, 0.4]), jnp.array([[0.3, 0.0], [1.5, 0.0], [-0.7, 0.0]])
    )
    logits = np.array([1.0, -0.6, 0.2])
    log_joint = model.log_joint_table()[:, 0]
    q = softmax(logits)
    bounds = [
        expected_iwae(model, CategoricalGuide(jnp.asarray(logits)), 0, *tuples(q, k))
        for k in range(1, 6)
    ]
    np.testing.assert_allclose(bounds[0], q @ (log_joint - np.log(q)), atol=EXACT)
    assert strictly_increasing([*bounds, log_sum(log_joint)])


def test_for_many_particles_of_two_outcomes(float64):
    """Exact up to K = 256, where the gap is the second-order Var(w) / (2 K p(x)^2)."""
    model = TableModel(jnp.array([0.3, -0.8]), jnp.array([[0.2, 1.0], [-1.4, 0.9]]))
    logits = np.array([-0.4, 0.7])
    q, log_joint = softmax(logits), model.log_joint_table()[:, 0]
    log_evidence = log_sum(log_joint)
    sizes = np.array([1, 2, 4, 16, 64, 256])
    bounds = np.array(
        [
            expected_iwae(model, CategoricalGuide(jnp.asarray(logits)), 0, *counts_of_two(q[1], k))
            for k in sizes
        ]
    )
    assert strictly_increasing([*bounds, log_evidence])
    ratio = np.exp(log_joint - log_evidence) / q
    limit = 0.5 * q @ (ratio - 1.0) ** 2
    assert strictly_increasing(-np.abs(sizes * (log_evidence - bounds) - limit)[2:])


def gaussian():
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    return model, NormalGuide(jnp.array(0.2), jnp.array(-0.4), jnp.array(-0.3)), 0.8


def test_by_quadrature(float64):
    model, guide, x = gaussian()
    bounds = []
    for k in (1, 2):
        noise, weights = grid(*normal_rule(0.1, 9.0), k)
        bounds.append(expected_iwae(model, guide, x, noise, weights, location_scale))
    posterior_mean, posterior_scale = model.posterior(x)
    mean, scale = 0.2 * x - 0.4, np.exp(-0.3)
    divergence = (
        np.log(posterior_scale / scale)
        + (scale**2 + (mean - posterior_mean) ** 2) / (2 * posterior_scale**2)
        - 0.5
    )
    np.testing.assert_allclose(bounds[0], model.log_evidence(x) - divergence, atol=EXACT)
    assert strictly_increasing([*bounds, model.log_evidence(x)])


NUM_REPLICATES = 1000


@pytest.fixture(scope="module")
def replicates() -> dict[int, np.ndarray]:
    """Independent values of the bound for growing K, from the guide's own draws."""
    with jax.enable_x64(True):
        model, guide, x = gaussian()

        def value(key, k):
            made = particles(model, guide, guide, datum(x), key, k)
            return IWAE(num_particles=k)(made)

        values = {}
        for i, k in enumerate((1, 8, 64, 512)):
            keys = jax.random.split(jax.random.key(i), NUM_REPLICATES)
            values[k] = np.asarray(jax.jit(jax.vmap(lambda key, k=k: value(key, k)))(keys))
        return values


def z_score(values, against) -> float:
    return float((values.mean() - against) / (values.std(ddof=1) / np.sqrt(values.size)))


def test_sampled_bounds_rise_and_stay_below_the_evidence(replicates, float64):
    model, _, x = gaussian()
    log_evidence = model.log_evidence(x)
    np.testing.assert_allclose(log_evidence, norm.logpdf(x, -0.2, np.hypot(0.9, np.exp(-0.3))))
    for k, values in replicates.items():
        assert z_score(values, log_evidence) < 5
        # Planted: the sum over particles instead of their mean.
        if k > 1:
            assert z_score(values + np.log(k), log_evidence) > 5
    for fewer, more in ((1, 8), (8, 64)):
        assert z_score(replicates[more] - replicates[fewer], 0.0) > 5
    assert z_score(replicates[512] - replicates[64], 0.0) > -5
