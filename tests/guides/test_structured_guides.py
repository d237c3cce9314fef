"""The guide of one plate of rows: its density over all rows, and what minibatches tell of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from taut.core import NEG_LOG_Q, Datum
from taut.guides import StructuredGuide

ROWS, SHARED, OWN = 6, 2, 2


@pytest.fixture
def guide(float64) -> StructuredGuide:
    generator = np.random.default_rng(0)
    start = StructuredGuide.start(jnp.zeros(SHARED), ROWS, OWN)
    return jax.tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape), start)


def datum(index=None) -> Datum:
    return Datum(x=jnp.zeros(ROWS if index is None else len(index)), index=index)


def test_its_density_is_that_of_the_dense_gaussian(guide):
    q = guide(datum())
    mean, tril = map(np.asarray, q.dense())
    z = mean + tril @ np.random.default_rng(1).normal(size=len(mean))
    expected = multivariate_normal(mean, tril @ tril.T).logpdf(z)
    np.testing.assert_allclose(-q.terms(z)[NEG_LOG_Q], expected, rtol=1e-12)


def test_batches_have_the_density_of_all_rows_on_average(guide):
    """-log q and the entropy, of three batches of two rows and of all."""
    generator = np.random.default_rng(2)
    shared, rows = generator.normal(size=SHARED), generator.normal(size=(ROWS, OWN))

    @jax.jit
    def told(index):
        q = guide(datum(index))
        z = jnp.concatenate([shared, jnp.asarray(rows)[index].ravel()])
        return jnp.stack([q.terms(z)[NEG_LOG_Q], q.entropy()])

    batches = generator.permutation(ROWS).reshape(3, 2)
    found = np.mean([told(index) for index in batches], axis=0)
    np.testing.assert_allclose(found, told(np.arange(ROWS)), rtol=1e-12)
