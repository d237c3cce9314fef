"""grad E_q[f] is not E_q[grad f]: the draws move with the guide's parameters too.

With z ~ N(0, 1), x | z ~ N(z, 1) and the guide N(m, s^2),

    ELBO(m, s) = const - (x - m)^2 / 2 - m^2 / 2 - s^2 + log s,
    d ELBO / dm = x - 2 m,        d ELBO / d log s = 1 - 2 s^2.

Held at fixed draws, log w depends on the guide through -log q alone, whose gradient is the score and
averages to nothing: the guide would stay where it is. With the KL in closed form only the KL would act,
and the guide would go to the prior. The gradient in the model is right either way: that is the E-step.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    ConjugateGaussian,
    FedGuide,
    NormalGuide,
    datum,
    gauss_hermite,
    location_scale,
)

from taut.bounds import ELBO
from taut.core import Pair, frozen, particles
from taut.gradients import Reparameterized

X, M, S = 2.0, 0.3, 0.6
EXACT = 1e-13


def start() -> Pair:
    """The pair at (m, s) = (0.3, 0.6); its intercept is m."""
    model = ConjugateGaussian(jnp.array(1.0), jnp.array(0.0), jnp.array(0.0))
    return Pair(model, NormalGuide(jnp.array(0.0), jnp.array(M), jnp.log(S)))


def fed(guide) -> FedGuide:
    """Five nodes average polynomials of degree 9 exactly; log w and its gradients are quadratic."""
    nodes, masses = map(jnp.asarray, gauss_hermite(5))
    return FedGuide(guide, nodes, location_scale, masses)


def reparameterized(pair, kl):
    guide, row, key = fed(pair.guide), datum(X), jax.random.key(0)
    return Reparameterized()(ELBO(kl=kl), pair.model, guide, row, key).surrogate


def only_the_integrand(pair, kl):
    guide = fed(pair.guide)
    made = particles(pair.model, frozen(guide), guide, datum(X), jax.random.key(0), 1)
    return ELBO(kl=kl)(made)


def guide_gradient(surrogate, pair, kl) -> list[float]:
    """In m and log s."""
    gradient = jax.jit(jax.grad(surrogate), static_argnums=1)(pair, kl).guide
    return [float(gradient.intercept), float(gradient.log_scale)]


@pytest.mark.parametrize("kl", ["sampled", "closed"])
def test_the_path_makes_the_gradient_right(kl, float64):
    expected = [X - 2 * M, 1 - 2 * S**2]  # 1.4 and 0.28
    np.testing.assert_allclose(guide_gradient(reparameterized, start(), kl), expected, atol=EXACT)


def test_the_integrand_alone_gives_nothing(float64):
    gradient = guide_gradient(only_the_integrand, start(), "sampled")
    np.testing.assert_allclose(gradient, [0.0, 0.0], atol=EXACT)


def test_the_integrand_alone_gives_the_pull_of_the_prior(float64):
    gradient = guide_gradient(only_the_integrand, start(), "closed")
    np.testing.assert_allclose(gradient, [-M, 1 - S**2], atol=EXACT)  # -0.3 and 0.64


@pytest.mark.parametrize("surrogate", [reparameterized, only_the_integrand])
def test_the_model_does_not_mind(surrogate, float64):
    """d ELBO / d shift = x - m and d ELBO / d log noise = (x - m)^2 + s^2 - 1 both ways."""
    gradient = jax.jit(jax.grad(surrogate), static_argnums=1)(start(), "sampled").model
    expected = [X - M, (X - M) ** 2 + S**2 - 1]
    np.testing.assert_allclose([gradient.shift, gradient.log_noise], expected, atol=EXACT)


@pytest.mark.parametrize(
    ("surrogate", "kl", "end"),
    [
        (reparameterized, "sampled", (1.0, np.sqrt(0.5))),  # the posterior
        (only_the_integrand, "sampled", (M, S)),  # where it began
        (only_the_integrand, "closed", (0.0, 1.0)),  # the prior
    ],
)
def test_where_ascent_ends(surrogate, kl, end, float64):
    pair = start()

    def step(_, guide):
        gradient = jax.grad(lambda guide: surrogate(Pair(pair.model, guide), kl))(guide)
        return NormalGuide(
            guide.slope,
            guide.intercept + 0.2 * gradient.intercept,
            guide.log_scale + 0.2 * gradient.log_scale,
        )

    # The slowest error shrinks by 1 - 0.2 = 0.8 per step: 0.8^200 is 4e-20.
    guide = jax.jit(lambda guide: jax.lax.fori_loop(0, 200, step, guide))(pair.guide)
    np.testing.assert_allclose([guide.intercept, jnp.exp(guide.log_scale)], end, atol=1e-12)
