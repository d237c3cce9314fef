"""What is drawn of a row is the same among all rows of a file, a part of them, and in another order."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Datum
from taut.data import Dataset, Schema
from taut.fitted.facts import FitFacts, RowCounts
from taut.fitted.scoring import score
from taut.inference import PerDatum
from taut.recipe import Recipe

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
HOLES = np.random.default_rng(1).random(X.shape) < 0.5
FACTS = FitFacts(RowCounts(4, 1, 1), 1, 1, 1.0, 1.0, "CPU")
SCHEMA = Schema("t", "table", (3,), "real")
AT = np.array([14, 0, 3])


def vae() -> Any:
    architecture = taut.VAE(latent_dim=1, hidden=(2,))
    pair = architecture.init(SCHEMA, jax.random.key(0))
    return taut.Fit(pair, architecture, SCHEMA, FACTS)


def per_datum() -> Any:
    fit, inference = vae(), PerDatum(unseen_row_steps=8)
    pair = inference.pair(fit.pair, jnp.arange(20, dtype=jnp.int32), jax.random.key(0))
    return taut.Fit(pair, fit.architecture, SCHEMA, FACTS, Recipe(inference=inference))


def ppca() -> Any:
    return taut.em((X, X, X), model=taut.PPCA(1), closed_form=True)


def rows(schema: Schema, *, holes: bool = False) -> Dataset:
    x = np.where(HOLES, np.nan, X) if holes else X
    mask = ~HOLES if holes else None
    return Dataset(x.astype(schema.dtype), mask, None, np.arange(20, dtype=np.int32), schema)


@pytest.mark.parametrize("made", [vae, ppca])
def test_the_draws_of_a_row_go_by_its_number(made):
    fit, x = made(), np.where(HOLES, np.nan, X)
    every = Datum(x, ~HOLES, None, np.arange(20, dtype=np.int32))
    some = Datum(x[AT], ~HOLES[AT], None, AT.astype(np.int32))
    wanted, found = (np.asarray(fit.impute(rows, draws=3).draws) for rows in (every, some))
    np.testing.assert_allclose(found, wanted[:, AT], rtol=1e-5)


METHODS = (
    "importance", "monte-carlo", "refined", "annealed", "smc", "bridge", "quasi-monte-carlo",
    "refined-annealed",
)  # fmt: skip
ASKED: dict[str, Callable[[taut.Fit, Dataset], Any]] = {
    "score": lambda fit, given: score(fit, given, held_out=rows(SCHEMA)).score.values,
    "bound": lambda fit, given: fit.bound(given, "iwae").values,
    "encode": lambda fit, given: fit.encode(given),
    "reconstruct": lambda fit, given: fit.reconstruct(given),
}


@pytest.mark.parametrize("method", METHODS)
def test_the_evidence_of_a_row_goes_by_its_number(method):
    """Of 300 draws, which rows share in several parts."""
    fit, every = vae(), rows(SCHEMA)
    wanted, found = (
        fit.evaluate(given, method=method, num_particles=300 if "quasi" not in method else 256)
        for given in (every, every[AT])
    )
    for name in ("log_evidence", "elbo"):
        values = getattr(wanted, name).values
        np.testing.assert_allclose(getattr(found, name).values, values[AT], rtol=1e-4)
    assert len(np.unique(wanted.log_evidence.values)) == len(every)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("made", [vae, per_datum])
def test_what_is_said_of_a_row_goes_by_its_number(made, asked):
    """A table of variational parameters is made anew for rows that were not trained on."""
    fit, every = made(), rows(SCHEMA)
    wanted, found = (np.asarray(ASKED[asked](fit, given)) for given in (every, every[AT]))
    np.testing.assert_allclose(found, wanted[AT], rtol=1e-4, atol=1e-6)


def test_a_row_that_cannot_be_served_holds_back_no_other():
    """Beyond what float32 squares, its own bound has no gradient."""
    fit, every = per_datum(), rows(SCHEMA)
    far = every.x.copy()
    far[5] = 1e30
    wanted, found = (
        np.asarray(fit.encode(Dataset(x, None, None, every.index, SCHEMA))) for x in (every.x, far)
    )
    others = np.arange(20) != 5
    np.testing.assert_allclose(found[others], wanted[others], rtol=1e-4, atol=1e-6)
    assert (wanted != 0).any()
