"""Data from the prior: intervals of resampled draws cover at their rate, and wrong guides are caught.

Whatever the data, an interval that holds 90 % of the posterior holds the parameters that the data came
from in 90 % of the replications, since both are draws from one joint distribution.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom, gamma
from targets import RATE_RATE, RATE_SHAPE, gamma_poisson, normal_log_prob

from taut.core import Datum
from taut.evidence import square_tails, weighted_moments
from taut.inference.posterior import Gaussian, GaussianFamily, LogDensity
from taut.inference.posterior.verdict import BELIEVE, DOUBT, RESAMPLE, judge
from taut.inference.posterior.weighted_draws import weighted_draws
from taut.models.program import LogJoint

REPLICATIONS, DRAWS = 200, 1000
X = np.random.default_rng(8).normal(size=(8, 2))


def regression(beta, variance, y):
    """beta given the variance is N(0, variance I); the variance is inverse gamma (3, 3)."""
    scale = jnp.sqrt(variance)
    prior = -4.0 * jnp.log(variance) - 3.0 / variance + jnp.sum(normal_log_prob(beta, 0.0, scale))
    return prior + jnp.sum(normal_log_prob(y, X @ beta, scale))


class Conjugate(NamedTuple):
    """A model with draws from its prior.

    Attributes:
        log_joint: of named parameters.
        support: of them.
        simulate: from a generator to scalars in the order of the coordinates, and data.
        natural: from draws of z to these scalars.
    """

    log_joint: Callable
    support: dict[str, Any]
    simulate: Callable
    natural: Callable


def _counts(generator):
    rate = gamma(RATE_SHAPE, scale=1 / RATE_RATE).rvs(random_state=generator)
    return np.array([rate]), generator.poisson(rate, size=3).clip(max=18) * 1.0


def _lines(generator):
    variance = 3.0 / generator.gamma(3.0)
    beta = np.sqrt(variance) * generator.normal(size=2)
    y = X @ beta + np.sqrt(variance) * generator.normal(size=len(X))
    return np.array([*beta, variance]), y


MODELS = {
    "gamma and Poisson": Conjugate(gamma_poisson, {"rate": "positive"}, _counts, np.exp),
    "normal and inverse gamma": Conjugate(
        regression,
        {"beta": ("real", 2), "variance": "positive"},
        _lines,
        lambda z: np.concatenate([z[:, :2], np.exp(z[:, 2:])], axis=1),
    ),
}


class Replications:
    """Fits to data from the prior, one compiled program for all."""

    def __init__(self, model: Conjugate):
        self.model, self.generator = model, np.random.default_rng(3)
        _, y = model.simulate(self.generator)
        program, datum = LogJoint.of(model.log_joint, model.support, {"y": jnp.asarray(y)})
        self.dim, self.density = program.dim, LogDensity(program, datum)

    def fit(self) -> tuple[np.ndarray, GaussianFamily, Gaussian]:
        """True parameters, and the full-rank guide of their data."""
        truth, y = self.model.simulate(self.generator)
        family = GaussianFamily(self.density.of(Datum(x={"y": jnp.asarray(y)})), self.dim)
        start = Gaussian(np.zeros(self.dim), 0.3 * np.eye(self.dim))
        coarse = family.maximise(start, family.draws(self.generator, 4), tolerance=0.1)
        fine = family.maximise(coarse.point, family.draws(self.generator, 8), tolerance=0.01)
        return truth, family, fine.point

    def drawn(self, family: GaussianFamily, guide: Gaussian):
        """Weighted draws of a guide, and the parameters that they stand for."""
        found = weighted_draws(family, guide, count=DRAWS, generator=self.generator)
        return found, self.model.natural(found.z)

    def weighed(self, family: GaussianFamily, guide: Gaussian):
        """Moments of a guide's draws, raw and resampled, and the verdict."""
        found, values = self.drawn(family, guide)
        raw = weighted_moments(values[: found.num_guide])
        resampled = weighted_moments(values, found.weights)
        verdict = judge(
            guide="full-rank", converged=True, precision_nats=0.1, separate=(), endless=(),
            num_draws=len(found.weights),
            khat=found.khat, threshold=found.threshold, largest=found.largest, ess=found.ess, raw=raw,
            resampled=resampled, squares=square_tails(values, found.weights),
            names=[str(i) for i in range(values.shape[1])],
        )  # fmt: skip
        return raw, resampled, verdict.verdict


@pytest.mark.parametrize("name", MODELS)
def test_intervals_of_the_resampled_draws_cover_at_their_rate(name, float64):
    replications = Replications(MODELS[name])
    inside = narrow = 0
    for _ in range(REPLICATIONS):
        truth, family, guide = replications.fit()
        found, values = replications.drawn(family, guide)
        low, middle, high = weighted_moments(values, found.weights).quantiles.T
        inside += (low < truth) & (truth < high)
        narrow += (middle + 0.7 * (low - middle) < truth) & (truth < middle + 0.7 * (high - middle))
    share = binom.cdf(inside, REPLICATIONS, 0.9)
    assert np.all((share > 1e-4) & (share < 1 - 1e-4)), inside
    assert np.all(binom.cdf(narrow, REPLICATIONS, 0.9) < 1e-4), "too narrow intervals are caught"


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_guide_is_caught_by_the_verdict(name, float64):
    """Off by five standard deviations and a third as wide: nothing is believed. Off by half of one: the
    guide is not, its resampled draws are, and they are right where the guide is wrong."""
    replications, wrong, shifted = Replications(MODELS[name]), [], []
    errors = []
    for _ in range(20):
        _, family, guide = replications.fit()
        far = Gaussian(guide.mean + 5 * guide.scale, guide.tril / 3)
        near = Gaussian(guide.mean + 0.5 * guide.scale, guide.tril)
        wrong.append(replications.weighed(family, far)[2])
        raw, resampled, said = replications.weighed(family, near)
        exact = replications.weighed(family, guide)[1]
        error = np.hypot(resampled.mean_error, exact.mean_error)
        errors.append([(m.mean - exact.mean) / error for m in (resampled, raw)])
        shifted.append(said)
    assert wrong == [DOUBT] * 20
    assert set(shifted) <= {RESAMPLE, DOUBT}
    assert BELIEVE not in shifted
    of_resampled, of_raw = np.moveaxis(np.asarray(errors), 1, 0)
    assert np.all(np.abs(of_resampled.mean(axis=0)) < 5 / np.sqrt(20))
    assert np.all(np.abs(of_raw.mean(axis=0)) > 5 / np.sqrt(20))
