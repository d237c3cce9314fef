"""Discrete latents of no more outcomes than draws: log p(x), ELBO and KL are sums, by NumPy the same."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import taut
from taut.core import as_proposal
from taut.guides import EveryOutcome, every_outcome

ROWS = (np.random.default_rng(0).random((60, 5)) < 0.4).astype(np.float64)
# Latents, and how many outcomes they have.
LATENTS = {
    "bernoulli:3": 8,
    "categorical:2x3": 9,
    "bernoulli:2,3": 32,
    "categorical:1x4,2x2": 16,
}


def fit_of(latents: str, precision: str = "float32") -> Any:
    return taut.fit(
        ROWS, model="discrete", latents=latents, hidden=(4,), epochs=3, precision=precision,
        evidence_particles=40,
    )  # fmt: skip


def layers(latents: str) -> list[list[np.ndarray]]:
    """Every outcome of each layer, in the form that models take it in."""
    kind, sizes = latents.split(":")
    made = []
    for size in sizes.split(","):
        if kind == "bernoulli":
            made.append([np.array(z, float) for z in itertools.product((0, 1), repeat=int(size))])
        else:
            units, levels = map(int, size.split("x"))
            made.append(
                [np.eye(levels)[list(z)] for z in itertools.product(range(levels), repeat=units)]
            )
    return made


def outcomes(latents: str) -> list[Any]:
    parts = layers(latents)
    return parts[0] if len(parts) == 1 else list(itertools.product(*parts))


@pytest.mark.parametrize("latents", LATENTS)
def test_numbers_are_those_of_every_outcome(latents):
    fit = fit_of(latents, "float64")
    found = fit.evaluate(ROWS[:4], num_particles=LATENTS[latents])
    every = outcomes(latents)
    assert len(every) == LATENTS[latents]
    with jax.enable_x64(True):
        truth, elbos = [], []
        for x in ROWS[:4]:
            datum = taut.Datum(jnp.asarray(x))
            q: Any = as_proposal(fit.guide(datum))
            log_p = np.array(
                [float(fit.model.log_joint(datum, jax.tree.map(jnp.asarray, z))) for z in every]
            )
            log_q = np.array(
                [-float(np.sum(q.terms(jax.tree.map(jnp.asarray, z))["-log_q"])) for z in every]
            )
            assert math.isclose(np.exp(log_q).sum(), 1, rel_tol=1e-9)
            truth.append(float(logsumexp(log_p)))
            elbos.append(np.exp(log_q) @ (log_p - log_q))
    np.testing.assert_allclose(found.log_evidence.values, truth, rtol=1e-9)
    np.testing.assert_allclose(found.elbo.values, elbos, rtol=1e-9)
    assert found.log_evidence.side == "exact"
    assert (found.log_evidence.mc_error, found.elbo.mc_error, found.num_particles) == (0, 0, None)
    assert not found.at_random
    np.testing.assert_allclose(
        (found.reconstruction.value - found.kl.value), found.elbo.value, rtol=1e-9
    )
    drawn = fit.evaluate(ROWS[:4], num_particles=LATENTS[latents] - 1)
    assert drawn.at_random
    assert drawn.log_evidence.side == "lower"


@pytest.mark.parametrize(("outcomes", "summed"), [(512, True), (511, False), (10**6, True)])
def test_outcomes_are_summed_up_to_the_draws(outcomes, summed):
    rows = taut.Datum(jnp.zeros((3, 5)))
    fit = fit_of("bernoulli:9")
    assert isinstance(every_outcome(fit.guide, rows, outcomes), EveryOutcome) == summed


def test_never_more_than_are_held_at_once():
    rows = taut.Datum(jnp.zeros((3, 5)))
    assert every_outcome(fit_of("bernoulli:11").guide, rows, 10**9) is None
    vae: Any = taut.fit(ROWS, model="vae", latent_dim=1, hidden=(4,), epochs=1)
    assert every_outcome(vae.guide, rows) is None
