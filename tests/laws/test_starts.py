"""Laws of starts: likelihoods, decoders and encoders begin at independent columns of the rows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from likelihood_cases import LEVELS, SHAPE, made, over_cases
from scipy.special import expit

from taut.architectures import VAE, VQ, Discrete, Ladder, MixtureVAE
from taut.bounds import ELBO
from taut.core import Datum, particles
from taut.data import Schema
from taut.models.likelihoods import (
    LIKELIHOODS,
    AbstractLikelihood,
    Gaussian,
    NegativeBinomial,
    Poisson,
)

ROWS = 60


def some_rows(name: str) -> np.ndarray:
    """Rows in the support of a family whose columns differ, none of them constant."""
    rng, size = np.random.default_rng(0), (ROWS, *SHAPE)
    rate = np.array([[3.0, 20, 400], [60, 1000, 8]])
    extra = rng.random(size) < 0.3
    return {
        "bernoulli": (rng.random(size) < 0.3) * 1.0,
        "continuous-bernoulli": rng.beta(0.5, 2, size),
        "discretized-logistic": np.clip(np.rint(rng.normal(2, 0.4, size)), 0, 4) / (LEVELS - 1),
        "gaussian": rng.normal(3, rate, size),
        "student-t": rng.normal(3, rate, size),
        "categorical": rng.integers(0, LEVELS, size) * 1.0,
        "cumulative-logit": np.clip(np.rint(rng.normal(2, 1.5, size)), 0, LEVELS - 1),
        "poisson": rng.poisson(rate, size) * 1.0,
        "negative-binomial": rng.poisson(rate * rng.gamma(3, 1 / 3, size)) * 1.0,
        "zero-inflated-poisson": np.where(extra, 0.0, rng.poisson(rate, size)),
        "zero-inflated-negative-binomial": np.where(
            extra, 0.0, rng.poisson(rate * rng.gamma(3, 1 / 3, size))
        ),
    }[name]


@over_cases
@pytest.mark.usefixtures("float64")
def test_a_likelihood_starts_with_the_means_of_the_columns(case: Any):
    likelihood, x = made(case), some_rows(case.name)
    mask = np.ones(x.shape, bool)
    mask[: ROWS // 4, 0, 1] = False
    hidden = np.where(mask, x, 1.0)
    for weight in (None, mask):
        rows = jnp.asarray(x if weight is None else hidden)
        start = likelihood.started_at(rows, None if weight is None else jnp.asarray(weight * 1.0))
        assert start.outputs.shape == start.spread.shape == (likelihood.num_outputs, *SHAPE)
        assert bool(jnp.all((start.spread > 0) & jnp.isfinite(start.spread)))
        wanted = np.mean(x, axis=0, where=True if weight is None else weight)
        if case.options.get("library"):
            if case.name.startswith("zero"):
                continue  # shares of a total, which extra zeros are no part of
            seen = jnp.asarray(np.ones_like(mask) if weight is None else weight)
            given = jax.vmap(lambda row, m, s=start: s.likelihood.given(s.outputs, row, m).mean)
            mean = np.mean(given(rows, seen), axis=0, where=np.asarray(seen))
        else:
            mean = start.likelihood.mean(start.outputs)
        # Laplace's rule moves a share of codes, the ends of the range a logistic's mean, and one step
        # of EM is not its limit.
        rounding = {"categorical": 0.1, "cumulative-logit": 0.1, "discretized-logistic": 0.01}
        np.testing.assert_allclose(mean, wanted, rtol=rounding.get(case.name, 1e-9))


@pytest.mark.usefixtures("float64")
def test_shares_under_extra_zeros_are_of_what_each_row_holds():
    """Near their maximum, by L-BFGS, and not where the shares are those of the columns' own means:
    rows in which the largest column is an extra zero have a small total for all the others."""
    rng = np.random.default_rng(0)
    rate, size = np.array([[3.0, 20, 60], [8, 1, 0.5]]), rng.gamma(3, 1 / 3, (200, 1, 1))
    extra = rng.random((200, *SHAPE)) < 0.3
    x = jnp.asarray(np.where(extra, 0.0, rng.poisson(rate * size)))
    likelihood = LIKELIHOODS["zero-inflated-poisson"](library=True)

    def nll(outputs):
        return -jnp.mean(jax.vmap(lambda row: likelihood.log_prob(row, outputs))(x))

    start = likelihood.started_at(x).outputs
    mean = np.sum(x, axis=0) / np.sum(x > 0, axis=0)
    simple = start.at[0].set(jnp.log(jnp.asarray(mean / mean.sum())))
    best = scipy.optimize.minimize(
        jax.jit(lambda flat: nll(flat.reshape(start.shape))), np.ravel(start), method="L-BFGS-B",
        jac=jax.jit(jax.grad(lambda flat: nll(flat.reshape(start.shape)))),
    )  # fmt: skip
    assert 0 <= nll(start) - best.fun < 0.2 * (nll(simple) - best.fun)


def test_every_likelihood_of_the_registry_starts_at_rows():
    for cls in LIKELIHOODS.values():
        assert cls.started_at is not AbstractLikelihood.started_at


@pytest.mark.usefixtures("float64")
def test_what_columns_share_starts_at_their_moments():
    """By NumPy; the negative binomial by the method of moments."""
    x = some_rows("negative-binomial")
    mean, variance = x.mean(axis=0), x.var(axis=0)
    start = NegativeBinomial(shape=SHAPE).started_at(jnp.asarray(x))
    assert start is not None
    r = start.likelihood.inverse_dispersion
    np.testing.assert_allclose(r, mean**2 / (variance - mean), rtol=1e-9)
    np.testing.assert_allclose(start.spread[0], np.minimum(np.sqrt(variance) / mean, 1), rtol=1e-9)
    for per, wanted in (("dimension", x.std(axis=0)), ("model", np.sqrt(variance.mean()))):
        gaussian = Gaussian(shape=SHAPE, scale=per).started_at(jnp.asarray(x))
        assert gaussian is not None
        scale = gaussian.likelihood.scale(gaussian.outputs[1:])
        np.testing.assert_allclose(scale, wanted, rtol=1e-9)
    flat = Poisson().started_at(jnp.zeros((4, *SHAPE)))
    assert flat is not None
    np.testing.assert_allclose(np.exp(flat.outputs), 0.5 / 4)  # half a count in all rows


@pytest.mark.usefixtures("float64")
def test_the_zeros_that_a_poisson_does_not_account_for_are_extra():
    """The gate of a column far from zero is its share of zeros, by counting."""
    x = some_rows("zero-inflated-poisson")
    start = LIKELIHOODS["zero-inflated-poisson"]().started_at(jnp.asarray(x))
    assert start is not None
    gate, far = expit(np.asarray(start.outputs[1])), x.mean(axis=0) > 5
    assert np.all(np.abs(gate - (x == 0).mean(axis=0))[far] < 1 / ROWS)


COUNTS = Schema(name="counts", kind="table", shape=(3,), support="count")
IMAGES = Schema(name="counts", kind="image", shape=(4, 4), support="count")
SMALL = {"hidden": (5,), "likelihood": "poisson"}
ARCHITECTURES = [
    (VAE(latent_dim=2, **SMALL), COUNTS),
    (VAE(latent_dim=2, network="gated-mlp", **SMALL), COUNTS),
    (VAE(latent_dim=2, network="residual-conv", **SMALL), IMAGES),
    (Ladder(latent_dims=(2, 1), hidden=(5, 5), likelihood="poisson"), COUNTS),
    (MixtureVAE(components=2, latent_dim=1, **SMALL), COUNTS),
    (Discrete(latents="bernoulli:2", **SMALL), COUNTS),
    (VQ(latents="2x3", code_dim=2, **SMALL), COUNTS),
]


@pytest.mark.parametrize(
    ("architecture", "schema"), ARCHITECTURES,
    ids=[getattr(a, "network", "") + "-" + a.name for a, _ in ARCHITECTURES],
)  # fmt: skip
@pytest.mark.usefixtures("float64")
def test_counts_of_a_thousand_start_at_columns_alone(architecture: Any, schema: Schema):
    rng = np.random.default_rng(1)
    rate = 1000 * np.exp(0.05 * rng.normal(size=(ROWS, *schema.shape)))
    rows = Datum(rng.poisson(rate * np.linspace(0.1, 2, schema.size).reshape(schema.shape)) * 1.0)
    pair = architecture.start(architecture.init(schema, jax.random.key(0)), rows, schema=schema)
    model, guide = pair.bind()

    def elbo(x: Any, key: Any) -> Any:
        return ELBO()(particles(model, guide, guide, Datum(x), key, 1))

    keys = jax.random.split(jax.random.key(1), ROWS)
    found = jnp.mean(jax.jit(jax.vmap(elbo))(jnp.asarray(rows.x), keys))
    cells = scipy.stats.poisson.logpmf(rows.x, rows.x.mean(axis=0))
    alone = cells.reshape(ROWS, -1).sum(axis=1).mean()
    # The KL of an encoder that has yet to learn, and a spread of one column's deviation.
    assert found > alone - 0.25 * abs(alone)
    if isinstance(architecture, VAE | Ladder):
        mean = np.asarray(model.mean(jnp.zeros(2)))
        np.testing.assert_allclose(mean, rows.x.mean(axis=0), rtol=1e-9)
    reader = architecture.parts(pair)[2]
    seen = reader.counts.standardize(jnp.asarray(rows.x))
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-9)
    deviations = np.log1p(rows.x).std(axis=0)
    np.testing.assert_allclose(seen.std(axis=0), deviations / deviations.max(), rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_an_encoder_reads_a_rare_count_as_its_logarithm():
    """One count in a column of zeros is log 2 above them, beside a column that varies by e-folds and one
    that never varies: a unit of its own would make it as loud as the square root of the rows."""
    wide = np.random.default_rng(2).poisson(np.geomspace(1, 10_000, ROWS))
    x = np.stack([wide, np.arange(ROWS) == 3, np.full(ROWS, 7)], axis=1) * 1.0
    architecture = VAE(latent_dim=2, **SMALL)
    pair = architecture.init(COUNTS, jax.random.key(0))
    started = architecture.start(pair, Datum(x), schema=COUNTS)
    seen = np.asarray(architecture.parts(started)[2].counts.standardize(jnp.asarray(x)))
    np.testing.assert_allclose(seen, np.log1p(x) - np.log1p(x).mean(axis=0), atol=1e-12)
