"""A fit to data drawn from a known model comes within its errors of the entropy of those data.

    z ~ N(0, 1),  x_d | z ~ likelihood(slope_d z + intercept_d),        H = -E log p(x)

The entropy comes from a grid over the one latent, without the library's draws. That the check can fail
is shown by the independent-columns baseline, which must lose by more than its errors.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import taut
from taut.data import Data, Dataset, Schema
from taut.models import LIKELIHOODS, make_likelihood

CELLS = 8
LEVELS = {"discretized-logistic": 17, "categorical": 3, "cumulative-logit": 4}
SUPPORT = {
    "bernoulli": "binary",
    "continuous-bernoulli": "unit",
    "discretized-logistic": "grey",
    "categorical": "categorical",
    "cumulative-logit": "categorical",
    "poisson": "count",
    "negative-binomial": "count",
    "zero-inflated-poisson": "count",
    "zero-inflated-negative-binomial": "count",
}
# Slopes of the first output (a mean or its logit or logarithm); the others do not depend on z.
SLOPE = {
    "bernoulli": 3.0,
    "continuous-bernoulli": 8.0,
    "discretized-logistic": 1.0,
    "gaussian": 2.0,
}
SLOPE |= {"student-t": 3.0, "categorical": 2.5}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_recovers_the_entropy(name):
    likelihood = make_likelihood(name, shape=(CELLS,), levels=LEVELS.get(name))
    generator = np.random.default_rng(7)
    slopes = np.zeros((likelihood.num_outputs, CELLS))
    slopes[0] = SLOPE.get(name, 1.5) * generator.choice([-1.0, 1.0], CELLS)
    intercepts = generator.normal(0, 0.3, slopes.shape)
    if SUPPORT.get(name) == "count":
        intercepts[0] += 2.0
    if name.startswith("zero-inflated"):
        intercepts[-1] -= 2.0  # most cells are drawn from the counts

    def outputs(z):
        return jnp.asarray(slopes) * z + jnp.asarray(intercepts)

    def draw(z, key):
        return likelihood(outputs(z)).sample(key)

    count = 1800
    z_key, x_key = jax.random.split(jax.random.key(11))
    z = jax.random.normal(z_key, (count,))
    x = np.asarray(jax.jit(jax.vmap(draw))(z, jax.random.split(x_key, count)), np.float32)

    grid = np.linspace(-6, 6, 201)
    log_prior = -(grid**2) / 2 - 0.5 * math.log(2 * math.pi) + math.log(grid[1] - grid[0])
    cells = jax.jit(
        jax.vmap(lambda row: jax.vmap(lambda z: likelihood.log_prob(row, outputs(z)))(grid))
    )
    entropy = -scipy.special.logsumexp(np.asarray(cells(x)) + log_prior, axis=1)

    schema = Schema(
        name=name, kind="table", shape=(CELLS,), support=SUPPORT.get(name, "real"),
        levels=LEVELS.get(name, 2 if name == "bernoulli" else None),
    )  # fmt: skip
    parts = [slice(0, 1200), slice(1200, 1300), slice(1300, 1800)]
    index = np.arange(count, dtype=np.int32)
    sets = [Dataset(x[part], None, None, index[part], schema) for part in parts]
    fitted = taut.fit(
        Data(*sets, schema),
        model=taut.VAE(latent_dim=1, hidden=(32,), likelihood=name),
        bound=taut.IWAE(num_particles=4),
        learning_rate=1e-2,
        epochs=30,
        evidence_particles=100,
    )
    truth = -entropy[parts[2]]
    found, baseline = fitted.estimates["log_evidence"], fitted.estimates["independent_columns"]
    assert abs(found.value + entropy.mean()) < _five_errors(found, entropy)
    assert _gain(baseline, truth) < -5
    # No model beats the one that drew the rows but by chance: a constant dropped would show here.
    assert _gain(found, truth) < 5


def _gain(estimate, truth):
    """Mean difference from the log-density that drew the rows, in its errors."""
    paired = estimate.values - truth
    return paired.mean() / (paired.std(ddof=1) / math.sqrt(paired.size))


def _five_errors(estimate, entropy):
    # An error over draws that is not known widens nothing.
    drawn = 0.0 if math.isnan(estimate.mc_error) else estimate.mc_error
    own = math.hypot(drawn, estimate.data_error)
    return 5 * math.hypot(own, entropy.std(ddof=1) / math.sqrt(entropy.size))
