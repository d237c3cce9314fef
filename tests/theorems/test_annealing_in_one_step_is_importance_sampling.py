"""With one temperature the annealed weight is p(x, z) / q(z) at a draw of q: nothing moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import ConjugateGaussian, NormalGuide

from taut.core import Datum, Pair
from taut.evidence import SMC, Annealed, Importance, MonteCarlo


@pytest.mark.usefixtures("float64")
def test_from_the_guide_and_from_the_prior():
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    pair = Pair(model, NormalGuide(jnp.array(0.4), jnp.array(0.1), jnp.array(-0.2)))
    rows = Datum(jnp.linspace(-1.5, 2.0, 5))
    for plain, start in ((Importance, "guide"), (MonteCarlo, "prior")):
        expected = plain(num_particles=50)(pair, rows, key=jax.random.key(0))
        for method in (Annealed, SMC):
            found = method(num_particles=50, temperatures=1, start=start)(
                pair, rows, key=jax.random.key(0)
            )
            for name in ("log_evidence", "elbo", "reconstruction", "kl"):
                _equal(getattr(found, name).values, getattr(expected, name).values)
            _equal(found.khat, expected.khat)
        moved = Annealed(num_particles=50, temperatures=2, start=start)(
            pair, rows, key=jax.random.key(0)
        )
        assert not np.array_equal(moved.khat, expected.khat)


def _equal(found: np.ndarray, expected: np.ndarray) -> None:
    """But for the rounding of programs that are compiled in different ways."""
    np.testing.assert_allclose(found, expected, rtol=1e-11)
