"""Missing counts, given a row's total, are those of a row with the total that its observed ones tell."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.fitted.facts import FitFacts, RowCounts

SHARES = np.array([0.1, 0.2, 0.3, 0.4])
X = np.random.default_rng(0).multinomial(50, SHARES, 20)


class Shares(eqx.Module):
    """The same for every latent, so that what is expected of a cell is known."""

    outputs: jax.Array

    def __call__(self, z):
        return self.outputs


@pytest.fixture(scope="module", params=["poisson", "zero-inflated-negative-binomial"])
def fit(request) -> Any:
    frame = pl.DataFrame(dict(zip("abcd", X.T, strict=True)))
    schema = taut.load_data(frame, columns="alike").schema
    options = {"library": True}
    architecture = taut.VAE(
        latent_dim=1, hidden=(2,), likelihood=request.param, likelihood_options=options
    )
    made: Any = architecture.init(schema, jax.random.key(0))
    outputs = np.log(SHARES)
    if request.param.startswith("zero"):
        outputs = np.stack([outputs, np.full(4, -40.0)])  # no extra zeros
    pair = eqx.tree_at(lambda p: p.model.decoder, made, Shares(jnp.asarray(outputs, jnp.float32)))
    return taut.Fit(
        pair, architecture, schema, FitFacts(RowCounts(18, 1, 1), 1, 1, 1.0, 1.0, "CPU")
    )


def test_they_are_imputed_so(fit):
    rows = np.array([[7.0, np.nan, 12.0, np.nan], [0.0, 3.0, np.nan, 9.0]])
    wanted = [[7, 19 * 0.2 / 0.4, 12, 19 * 0.4 / 0.4], [0, 3, 12 * 0.3 / 0.7, 9]]
    found = fit.impute(rows, draws=200, num_particles=500)
    np.testing.assert_allclose(found.mean, wanted, rtol=1e-5)
    draws = np.asarray(found.draws)
    error = draws.std(axis=0) / np.sqrt(200)
    assert (np.abs(draws.mean(axis=0) - wanted) <= 5 * error).all()


def test_they_are_drawn_so_given_the_others(fit):
    drawn = np.asarray(fit.sample(500, given={"a": 7, "c": 12}, num_particles=100))
    wanted = np.array([7, 19 * 0.2 / 0.4, 12, 19 * 0.4 / 0.4])
    assert (np.abs(drawn.mean(axis=0) - wanted) <= 5 * drawn.std(axis=0) / np.sqrt(500)).all()


def test_they_are_compared_so_with_other_rows(fit):
    """Of rows at the default total of 10,000 no column would overlap with one of these."""
    train, held_out = np.random.default_rng(1).multinomial(50, SHARES, (2, 150)).astype(float)
    train[0, 1] = np.nan
    found = fit.fidelity(train, held_out=held_out, num_samples=150)
    assert found.synthetic.shape > 0.6


def test_the_command_says_at_which_total_rows_are_drawn(fit, tmp_path, capsys):
    pair = fit.architecture.init(fit.schema, jax.random.key(0))
    run = replace(fit, pair=pair).save(tmp_path / "run")
    said = "note: rows are drawn at a total of 10,000 counts"
    for given, told in (([], True), (["--given", "a=7,c=12"], False)):
        assert main(["sample", str(run), "-n", "2", "--out", str(tmp_path / "x.csv"), *given]) == 0
        assert capsys.readouterr().err.startswith(said) == told
