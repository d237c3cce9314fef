"""A linear VAE, trained by the library's own loop, reaches the evidence of probabilistic PCA."""

import jax
import numpy as np
import optax
import pytest
from nodes import mean_evidence, tabled_data, unfitted_ppca

from taut.bounds import ELBO
from taut.core import Datum, Pair
from taut.gradients import Reparameterized
from taut.guides import FullRankGaussian, MeanFieldGaussian, linear_guide
from taut.inference.amortized import joint
from taut.models import ProbabilisticPCA
from taut.training import Loop, train

STEPS = 1500


@pytest.mark.parametrize("family", [FullRankGaussian, MeanFieldGaussian])
def test_within_two_hundredths_of_a_nat(family):
    rows = tabled_data(num_rows=400)
    rows = Datum(rows.x.astype(np.float32), index=rows.index)
    best = ProbabilisticPCA.maximum_likelihood(rows.x, 2)
    model_key, guide_key = jax.random.split(jax.random.key(0))
    algorithm = joint(
        Pair(
            unfitted_ppca(4, 2, key=model_key),
            linear_guide(4, family(2), key=guide_key),
        ),
        ELBO(),
        Reparameterized(),
        optax.adam(optax.cosine_decay_schedule(2e-2, STEPS)),
        example=Datum(rows.x[0]),
        key=jax.random.key(1),
    )
    loop = Loop(num_steps=STEPS, batch_size=100, seed=0, validate_every=STEPS)
    state = train(algorithm, rows, loop)
    fitted, guide = algorithm.pair(state.inference).bind()
    known = mean_evidence(best, rows)
    assert known - 0.02 < mean_evidence(fitted, rows) < known + 1e-4
    bound = jax.jit(jax.vmap(lambda row: fitted.elbo(row, guide(row))))(rows).mean()
    assert known - 0.02 < float(bound) < known + 1e-4
    # The start was far away, so that the tolerance means something.
    assert mean_evidence(algorithm.pair(algorithm.init()).model, rows) < known - 1.0
