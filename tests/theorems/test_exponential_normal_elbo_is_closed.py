"""For z ~ Exp(theta), x | z ~ N(z, 1) and the guide Exp(phi),

ELBO = -1/phi^2 + (x - theta)/phi + log(theta/phi) + 1 - x^2/2 - log(2 pi)/2,

highest at theta = phi = 2/x for x > 0, and below the evidence for every phi.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import FedGuide, datum
from scipy.integrate import quad
from scipy.stats import expon, norm

from taut.bounds import ELBO
from taut.core import particles
from taut.guides import ExponentialGuide
from taut.models import ExponentialNormal, joint_optimum


def by_formula(x, theta, phi):
    return (
        -1 / phi**2 + (x - theta) / phi + math.log(theta / phi) + 1
        - x**2 / 2 - math.log(2 * math.pi) / 2
    )  # fmt: skip


@pytest.mark.parametrize("x", [-1.0, 0.6, 2.5])
@pytest.mark.parametrize(("theta", "phi"), [(0.4, 0.9), (2.0, 0.5), (1.0, 6.0)])
def test_by_gauss_laguerre_nodes_and_by_adaptive_quadrature(x, theta, phi, float64):
    """log w is a quadratic in z, which two Gauss-Laguerre nodes average exactly."""
    model, guide = ExponentialNormal.at(theta), ExponentialGuide.at(phi)
    nodes, masses = np.polynomial.laguerre.laggauss(2)
    fed = FedGuide(guide, nodes, lambda q, eps: eps / q.rate, masses)
    minted = particles(model, fed, fed, datum(x), jax.random.key(0), 1)
    known = by_formula(x, theta, phi)
    assert float(ELBO(kl="sampled")(minted)) == pytest.approx(known, abs=1e-10)
    assert float(model.elbo(datum(x), phi)) == pytest.approx(known, abs=1e-12)

    q, prior = expon(scale=1 / phi), expon(scale=1 / theta)
    integral, _ = quad(
        lambda z: q.pdf(z) * (norm.logpdf(x, z) + prior.logpdf(z) - q.logpdf(z)),
        0, 45 / phi, epsabs=1e-11, limit=200,
    )  # fmt: skip
    assert integral == pytest.approx(known, abs=1e-8)
    # Planted: the entropy of the guide, 1 - log phi, with the other sign.
    assert abs(known - 2 * (1 - math.log(phi)) - integral) > 0.1


@pytest.mark.parametrize("x", [0.6, 2.5])
def test_nothing_on_a_grid_lies_above_the_joint_optimum_or_the_evidence(x, float64):
    rates = np.geomspace(0.05, 50.0, 60)
    best = joint_optimum(x)
    assert (best.theta, best.phi) == (2 / x, 2 / x)
    values = np.array([[by_formula(x, theta, phi) for phi in rates] for theta in rates])
    assert values.max() <= best.elbo
    assert best.elbo == pytest.approx(by_formula(x, 2 / x, 2 / x), abs=1e-14)
    evidence = jax.jit(jax.vmap(lambda t: ExponentialNormal(jnp.log(t)).log_evidence(datum(x))))(
        rates
    )
    assert (np.asarray(evidence)[:, None] - values).min() > 1e-12  # rounding
