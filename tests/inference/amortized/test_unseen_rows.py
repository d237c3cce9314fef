"""Rows that were not trained on climb their own bound, not what a run climbs at its first steps."""

import jax
import numpy as np
import pytest
from nodes import tabled_data, unfitted_ppca

from taut.bounds import ELBO, IWAE
from taut.gradients import Reparameterized
from taut.guides import MeanFieldGaussian
from taut.inference.amortized.unseen_rows import table_for


@pytest.mark.parametrize(
    ("warming", "whole"),
    [
        (ELBO(warmup_steps=10_000), ELBO()),
        (ELBO(kl="sampled", beta=0.5, warmup_steps=10_000), ELBO(kl="sampled", beta=0.5)),
        (IWAE(3, warmup_steps=10_000), IWAE(3)),
    ],
    ids=["closed", "sampled", "iwae"],
)
def test_the_kl_of_a_row_has_its_full_weight_from_the_first_step(float64, warming, whole):
    model, rows = unfitted_ppca(4, 2, key=jax.random.key(1)), tabled_data(num_rows=5)
    found, wanted = (
        table_for(
            model, MeanFieldGaussian(2), rows, bound, Reparameterized(), jax.random.key(0),
            learning_rate=0.05, num_steps=50,
        ).table
        for bound in (warming, whole)
    )  # fmt: skip
    # Rounding alone: one is the other times a factor of one.
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
