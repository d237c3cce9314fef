"""Outcomes with log p(x, z) = -inf: they weigh nothing, the ELBO is -inf, and the KL is what it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import EnumeratedGuide, TableModel

from taut.audit import latent_use
from taut.core import Datum, Pair
from taut.evidence import importance_sampling

PRIOR = np.array([0.5, 0.3, 0.2])
LIKELIHOOD = np.array([[0.6, 0.4], [0.0, 1.0], [0.25, 0.75]])
ROWS = Datum(np.array([0, 1]), index=np.array([4, 7]))


class WithoutRule(TableModel):
    """The table without a closed KL."""

    def kl(self, datum, q, z):
        return None


@pytest.fixture(params=[TableModel, WithoutRule])
def pair(request, float64):
    """Of the first row, the second outcome explains nothing."""
    with np.errstate(divide="ignore"):
        logits = jnp.asarray(np.log(LIKELIHOOD))
    model = request.param(jnp.asarray(np.log(PRIOR)), logits)
    return Pair(model, EnumeratedGuide(jnp.zeros(3)))


@pytest.mark.filterwarnings("error")
def test_evidence_passes_over_them(pair):
    found = importance_sampling(pair, ROWS, key=jax.random.key(0), num_particles=10)
    np.testing.assert_allclose(found.log_evidence.values, np.log(PRIOR @ LIKELIHOOD))
    kl = np.mean(np.log(1 / 3 / PRIOR))
    np.testing.assert_allclose(found.kl.values, [kl, kl])
    np.testing.assert_allclose(
        found.reconstruction.values, [-np.inf, np.mean(np.log(LIKELIHOOD[:, 1]))]
    )
    np.testing.assert_allclose(found.elbo.values, found.reconstruction.values - kl)
    assert (found.log_evidence.side, found.kl.side) == ("exact", "exact")


@pytest.mark.filterwarnings("error")
def test_the_kl_of_an_audit_is_finite(pair):
    use = latent_use(pair, ROWS, key=jax.random.key(0))
    np.testing.assert_allclose(use.kls[0].value, np.mean(np.log(1 / 3 / PRIOR)))
