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
def test_a_few_rows_more_compile_nothing(likelihood):
    model = taut.VAE(latent_dim=1, hidden=(3,), likelihood=likelihood)

    def call(count):
        rows = of_rows(count, likelihood)
        return taut.fit(rows, model=model, epochs=1, batch_size=32, evidence_particles=4)

    # 91 to 94 rows to train on, 11 or 12 held out: of these sizes one program serves all.
    call(113)
    call(115)
    with compilations() as compiled:
        call(118)
    assert compiled == []
