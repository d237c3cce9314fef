"""Simulated counts that are judged given their row's total come from the law that judges them.

By enumeration of all rows of a total and quadrature over z, with the log-density of the likelihood.
"""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import taut
from taut.audit import density_excess
from taut.core import Datum, InputError
from taut.evidence import given_totals
from taut.evidence.bidirectional import Bidirectional
from taut.evidence.simulated import simulated
from taut.models import LatentVariableModel, StandardNormal
from taut.models.likelihoods import make_likelihood

GRID = np.linspace(-7.0, 7.0, 701)
ROWS, TOTAL = 20_000, 5
SEEN = np.array([[True, True, True], [True, False, True]])
LIKE = Datum(np.array([[4.0, 1.0, 0.0], [5.0, 7.0, 0.0]]), SEEN)  # 5 in the observed cells of each
WHOLE = [x for x in itertools.product(range(TOTAL + 1), repeat=3) if sum(x) == TOTAL]
HALF = [x for x in WHOLE if x[1] == 0]


def model_of(name: str) -> LatentVariableModel:
    likelihood = make_likelihood(name, shape=(3,), library=True)
    if "negative" in name:
        likelihood = eqx.tree_at(
            lambda one: (one.base if "zero" in name else one).log_inverse_dispersion,
            likelihood, jnp.log(jnp.array([0.2, 1.0, 5.0])),
        )  # fmt: skip

    def outputs(z: Any) -> Any:
        log_mean = jnp.array([2.0, -1.0, 0.5]) * z[0] + jnp.array([0.0, 0.5, -0.5])
        extra = jnp.array([-1.0, 0.5, -2.0]) * z[0] - 1.0
        return jnp.stack([log_mean, extra] if "zero" in name else [log_mean])

    return LatentVariableModel(StandardNormal(1), outputs, likelihood, (3,))


def joint(model: LatentVariableModel, rows: list[Any], seen: np.ndarray) -> np.ndarray:
    """p(z, x | T) of all rows at the grid, (rows, grid); of it the sum is 1."""
    log_p = jax.jit(
        jax.vmap(
            lambda x: jax.vmap(
                lambda z: model.likelihood.log_prob(x, model.outputs(z), jnp.asarray(seen))
            )(jnp.asarray(GRID)[:, None])
        )
    )
    p = np.exp(np.asarray(log_p(jnp.asarray(rows, float)))) * norm.pdf(GRID)
    return p / p.sum()


def off(model: LatentVariableModel) -> float:
    """By how many standard errors frequencies of rows, and mean latents in them, are off at most."""
    made = simulated(model, LIKE, ROWS, key=jax.random.key(0))
    x, z = np.asarray(made.rows.x), np.asarray(made.z)[:, 0]
    np.testing.assert_array_equal(made.rows.mask, SEEN[np.arange(ROWS) % 2])
    worst = 0.0
    for turn, rows in enumerate((WHOLE, HALF)):
        p = joint(model, rows, SEEN[turn])
        for row, known in zip(rows, p, strict=True):
            here = (x[turn::2] == row).all(axis=1)
            for value, at in ((1.0, np.ones_like(GRID)), (z[turn::2], GRID)):
                mean, second = known @ at, known @ at**2
                error = np.sqrt((second - mean**2) / (ROWS / 2))
                worst = max(worst, float(abs(np.mean(here * value) - mean) / error))
    return worst


NAMES = ["poisson", "negative-binomial", "zero-inflated-negative-binomial"]


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_latents_are_those_of_the_law(name, float64):
    assert off(model_of(name)) < 5


@pytest.mark.parametrize("name", NAMES[1:])
def test_latents_that_do_not_know_the_total_are_caught(name, float64, monkeypatch):
    monkeypatch.setattr(given_totals, "_log_chance", lambda rates, totals: np.zeros(len(totals)))
    assert off(model_of(name)) > 5


def test_rows_like_none_have_the_size_that_rows_are_drawn_at(float64):
    made = simulated(model_of("poisson"), Datum(np.zeros((1, 3))), 3, key=jax.random.key(0))
    np.testing.assert_array_equal(np.asarray(made.rows.x).sum(axis=1), 1e4)


@pytest.mark.parametrize("instead", ["", "other rows"])
def test_a_total_that_is_hardly_ever_met_is_refused(float64, instead):
    like, ending = Datum(np.full((1, 3), 1e6)), f", or {instead}" if instead else ""
    said = rf"simulated rows: expected rows that the model makes .*library=False{ending}\.$"
    with pytest.raises(InputError, match=said):
        simulated(model_of(NAMES[2]), like, 50, key=jax.random.key(0), instead=instead)


def test_what_to_try_is_about_what_was_asked(monkeypatch):
    counts = np.random.default_rng(0).poisson([3.0, 5.0, 8.0], (60, 3))
    told = {"likelihood": "zero-inflated-poisson", "likelihood_options": {"library": True}}
    model = taut.VAE(latent_dim=1, hidden=(4,), **told)
    fitted: Any = taut.fit(counts, model=model, epochs=1, evidence_particles=2)
    monkeypatch.setattr(given_totals, "_MOST", 0)
    with pytest.raises(InputError, match=r"library=False, or rows .* as `synthetic`\.$"):
        fitted.fidelity(counts, held_out=counts)
    with pytest.raises(InputError, match=r"library=False, or the lower end of its evidence"):
        Bidirectional(num_simulated=10)(fitted.pair, Datum(counts), key=jax.random.key(0))


def test_the_entropy_of_what_draws_is_still_not_that_of_what_judges(float64):
    assert density_excess(model_of("negative-binomial"), LIKE, key=jax.random.key(0)) is None
