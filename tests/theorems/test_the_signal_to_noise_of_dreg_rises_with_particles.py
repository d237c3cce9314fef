"""More particles drown the guide's reparameterized gradient in noise, and not the doubly so one.

    signal-to-noise = |mean| / standard deviation of the gradient of IWAE-K in a parameter of the guide

As K grows the bound forgets its guide: the mean falls like 1/K. The reparameterized gradient's deviation
falls like 1/sqrt(K) only, so the ratio falls like 1/sqrt(K) (Rainforth et al. 2018, theorem 1); that of
the doubly reparameterized gradient falls like K^(-3/2), and the ratio rises like sqrt(K) (Tucker et al.
2019). The model's gradient is the same and its ratio rises with both. The weights need moments for that:
the guide here is wider than the posterior, which bounds them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import ConjugateGaussian, NormalGuide, datum

from taut.bounds import IWAE
from taut.core import Pair
from taut.gradients import DoublyReparameterized, Reparameterized

X, DRAWS = 0.8, 40_000
PARTICLES = (4, 16, 64)
PAIR = Pair(ConjugateGaussian(0.9, -0.2, -0.3), NormalGuide(0.0, 1.2, -0.1))


@functools.cache
def ratios(estimator, num_particles: int) -> dict[str, tuple[float, float]]:
    """The ratio and its standard error, in the guide's mean and in the model's shift."""

    def one(key):
        def surrogate(pair):
            bound = IWAE(num_particles)
            return estimator(bound, pair.model, pair.guide, datum(X), key).surrogate

        gradient = jax.grad(surrogate)(jax.tree.map(jnp.asarray, PAIR))
        return gradient.guide.intercept, gradient.model.shift

    drawn = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(num_particles), DRAWS))

    def ratio(g) -> tuple[float, float]:
        g = np.asarray(g, np.float64)
        r = abs(np.mean(g)) / np.std(g)
        # The delta method: var(r) = (1 + r^2 (kurtosis - 1) / 4 - r skewness) / n.
        t = (g - np.mean(g)) / np.std(g) * np.sign(np.mean(g))
        return r, np.sqrt((1 + r**2 * (np.mean(t**4) - 1) / 4 - r * np.mean(t**3)) / DRAWS)

    return {"guide": ratio(drawn[0]), "model": ratio(drawn[1])}


def rise(estimator, side: str, few: int, many: int) -> tuple[float, float]:
    """How much the ratio rises from few particles to many, and five standard errors of that."""
    (low, e), (high, f) = ratios(estimator, few)[side], ratios(estimator, many)[side]
    return high - low, 5 * float(np.hypot(e, f))


@pytest.mark.parametrize(("few", "many"), [(4, 16), (16, 64)])
def test_the_guides_ratio_falls_for_one_and_rises_for_the_other(few, many):
    change, within = rise(Reparameterized(), "guide", few, many)
    assert change < -within
    change, within = rise(DoublyReparameterized(), "guide", few, many)
    assert change > within


@pytest.mark.parametrize("estimator", [Reparameterized(), DoublyReparameterized()])
def test_the_models_ratio_rises_for_both(estimator):
    change, within = rise(estimator, "model", 4, 64)
    assert change > within
