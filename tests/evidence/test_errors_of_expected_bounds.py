"""The Monte Carlo error of a bound over rows is how much it varies where the rows are all alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import ConjugateGaussian, NormalGuide

from taut.bounds import ELBO, IWAE
from taut.core import Datum, Pair
from taut.evidence import expected_bound

ROWS = 16_000


@pytest.mark.parametrize("bound", [ELBO(kl="sampled"), IWAE(3)], ids=["elbo", "iwae"])
def test_rows_that_are_alike_vary_by_the_error_over_draws(bound, float64):
    """Squared deviations of rows have the variance of a row for their mean, of which the error tells by
    the two repeats of each; within five errors of both."""
    model = ConjugateGaussian(*map(jnp.asarray, (1.0, 0.0, 0.0)))
    guide = NormalGuide(*map(jnp.asarray, (0.5, 0.0, -0.5)))
    rows = Datum(jnp.full(ROWS, 0.3))
    found = expected_bound(Pair(model, guide), rows, bound, key=jax.random.key(0))
    assert found.values is not None
    squares = (found.values - found.value) ** 2
    spread = 5 * np.std(squares) / np.sqrt(ROWS) * np.sqrt(1 + 2)
    assert abs(ROWS * found.mc_error**2 - np.mean(squares)) < spread
    assert 2 * spread < np.mean(squares) / 2  # what an error by N in place of N - 1 is off
