"""What is drawn of a row is the same among all rows of a file, a part of them, and in another order."""

from typing import Any

import jax
import numpy as np
import pytest

import taut
from taut.core import Datum
from taut.data import Schema
from taut.fitted.facts import FitFacts, RowCounts

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
HOLES = np.random.default_rng(1).random(X.shape) < 0.5
FACTS = FitFacts(RowCounts(4, 1, 1), 1, 1, 1.0, 1.0, "CPU")


def vae() -> Any:
    architecture, schema = taut.VAE(latent_dim=1, hidden=(2,)), Schema("t", "table", (3,), "real")
    pair = architecture.init(schema, jax.random.key(0))
    return taut.Fit(pair, architecture, schema, FACTS)


def ppca() -> Any:
    return taut.em((X, X, X), model=taut.PPCA(1), closed_form=True)


@pytest.mark.parametrize("made", [vae, ppca])
def test_the_draws_of_a_row_go_by_its_number(made):
    fit, x = made(), np.where(HOLES, np.nan, X)
    every = Datum(x, ~HOLES, None, np.arange(6, dtype=np.int32))
    at = np.array([4, 0, 3])
    some = Datum(x[at], ~HOLES[at], None, at.astype(np.int32))
    wanted, found = (np.asarray(fit.impute(rows, draws=3).draws) for rows in (every, some))
    np.testing.assert_allclose(found, wanted[:, at], rtol=1e-5)
