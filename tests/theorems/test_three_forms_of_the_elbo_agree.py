"""The ELBO three ways:

E_q[log p(x, z) - log q]  =  E_q[log p(x | z)] - KL(q to p(z))  =  E_q[log p(x, z)] + H[q].

The entropy is H[q] = -E_q log q and enters with a plus sign.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    ConjugateGaussian,
    EnumeratedGuide,
    FedGuide,
    NormalGuide,
    TableModel,
    datum,
    gauss_hermite,
    location_scale,
)
from scipy.integrate import quad
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, norm

from taut.bounds import ELBO
from taut.core import as_proposal, particles, weighted_sum

EXACT = 1e-12


def three_forms(model, guide, x) -> list[float]:
    """The forms as the library computes them; the third with the guide's closed entropy."""
    made = particles(model, guide, guide, datum(x), jax.random.key(0), 1)
    log_joint = jax.vmap(lambda z: model.log_joint(datum(x), z))(made.z)
    q = guide(datum(x)) if isinstance(guide, EnumeratedGuide) else guide.guide(datum(x))
    third = weighted_sum(made.log_mass, log_joint) + as_proposal(q).entropy()
    return [float(form) for form in (ELBO(kl="sampled")(made), ELBO(kl="closed")(made), third)]


@pytest.mark.parametrize("logits", [[0.1, 0.3, -0.2], [3.0, -2.0, 0.5]])
def test_by_enumeration(logits, float64):
    model = TableModel(jnp.array([0.2, -0.5, 0.4]), jnp.cos(jnp.arange(6.0).reshape(3, 2) ** 2))
    forms = three_forms(model, EnumeratedGuide(jnp.array(logits)), 1)

    q, log_joint = softmax(logits), model.log_joint_table()[:, 1]
    prior = softmax(np.asarray(model.prior_logits))
    log_likelihood = log_joint - np.log(prior)
    by_hand = [
        q @ (log_joint - log_softmax(logits)),
        q @ log_likelihood - entropy(q, prior),
        q @ log_joint + entropy(q),
    ]
    np.testing.assert_allclose(forms, by_hand, atol=EXACT)
    np.testing.assert_allclose(forms, forms[0], atol=EXACT)
    # The slip in circulation: the entropy with a minus sign.
    assert abs(q @ log_joint - entropy(q) - forms[0]) > 0.1


def test_by_quadrature(float64):
    """Against adaptive quadrature over z of each form's own integrand."""
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    guide = NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.5))
    nodes, masses = map(jnp.asarray, gauss_hermite(3))
    x = 0.8
    forms = three_forms(model, FedGuide(guide, nodes, location_scale, masses), x)

    q: Any = norm(0.4 * x + 0.1, np.exp(-0.5))

    def mean(f):
        return quad(lambda z: q.pdf(z) * f(z), -12, 12, epsabs=1e-14, epsrel=1e-13)[0]

    def log_likelihood(z):
        return norm.logpdf(x, 0.9 * z - 0.2, np.exp(-0.3))

    by_hand = [
        mean(lambda z: log_likelihood(z) + norm.logpdf(z) - q.logpdf(z)),
        mean(log_likelihood) - mean(lambda z: q.logpdf(z) - norm.logpdf(z)),
        mean(lambda z: log_likelihood(z) + norm.logpdf(z)) + q.entropy(),
    ]
    np.testing.assert_allclose(forms, by_hand, atol=EXACT)
    np.testing.assert_allclose(forms, forms[0], atol=EXACT)
