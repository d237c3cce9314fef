"""A process that fits again and again: what is compiled for another number of rows."""

import numpy as np
import pytest
from compilations import compilations

import taut


def of_rows(count, likelihood):
    generator = np.random.default_rng(count)
    if likelihood == "gaussian":
        return generator.normal(size=(count, 3))
    x = generator.poisson(3.0, (count, 3)).astype(float)
    x[::5, 1] = np.nan
    return x


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_other_numbers_of_rows_up_to_a_doubling_soon_compile_nothing(likelihood):
    model = taut.VAE(latent_dim=1, hidden=(3,), likelihood=likelihood)

    def call(count):
        rows = of_rows(count, likelihood)
        return taut.fit(rows, model=model, epochs=1, batch_size=32, evidence_particles=4)

    # 91 to 125 rows to train on, in tables of 128, and 11 to 16 held out, in blocks of 12 and 16.
    for count in (113, 156):
        call(count)
    with compilations() as compiled:
        for count in (118, 151):
            call(count)
    assert compiled == []
