"""The mutual information that aggressive training looks at, where the guide enumerates a class."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from taut.core import Datum, StratifiedProposal
from taut.inference.amortized.aggressive import mutual_information


def test_mutual_information_of_strata_draws_each_class_with_its_chance(float64):
    class OfClasses(eqx.Module):
        spread: float  # of the log-odds of two classes between rows

        def __call__(self, datum):
            logits = self.spread * jnp.array([0.5, -0.5]) * datum.x[0]
            return StratifiedProposal(logits, jnp.zeros((2, 1)), jnp.ones((2, 1)))

    rows = Datum(jnp.asarray([[1.0], [-1.0]] * 4))
    keys = jax.random.split(jax.random.key(0), 400)

    def found(spread):
        guide = OfClasses(spread)
        return np.asarray(jax.jit(jax.vmap(lambda k: mutual_information(guide, rows, key=k)))(keys))

    np.testing.assert_allclose(found(80.0), np.log(2.0), rtol=1e-12)
    p = 1 / (1 + np.exp(-1.0))
    known = np.log(2.0) + p * np.log(p) + (1 - p) * np.log(1 - p)
    values = found(1.0)
    assert abs(values.mean() - known) < 5 * values.std(ddof=1) / np.sqrt(values.size)
