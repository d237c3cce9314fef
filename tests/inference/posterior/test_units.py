"""The posterior does not depend on units: those of the data, with or without those of the program.

A regression whose coefficients are Gaussian given the standard deviation s of its noise: quadrature over
s gives evidence and moments.
"""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import taut

KEYS = range(2)


def regression(x, y, width, noise):
    beta = numpyro.sample("beta", dist.Normal(0.0, width).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(noise))
    numpyro.sample("y", dist.Normal(x @ beta, s), obs=y)


def exact(x, y, width, noise):
    """Log-evidence, and the mean and sd of each coefficient."""
    log_s = np.log(noise) + np.linspace(-9.0, 2.0, 1101)
    log_joint, means, squares = [], [], []
    for s in np.exp(log_s):
        precision = np.diag(width**-2.0) + x.T @ x / s**2
        mean = np.linalg.solve(precision, x.T @ y) / s**2
        residual = y - x @ mean
        likelihood = -0.5 * (residual @ residual / s**2 + np.sum((mean / width) ** 2))
        likelihood -= len(y) * np.log(np.sqrt(2 * np.pi) * s) + np.log(width).sum()
        likelihood -= 0.5 * np.linalg.slogdet(precision)[1]
        log_joint.append(likelihood + stats.halfnorm(scale=noise).logpdf(s) + np.log(s))
        means.append(mean)
        squares.append(mean**2 + np.diagonal(np.linalg.inv(precision)))
    log_joint = np.asarray(log_joint)
    density = np.exp(log_joint - log_joint.max())
    evidence = np.log(density.sum() * (log_s[1] - log_s[0])) + log_joint.max()
    weight = density / density.sum()
    mean = weight @ np.asarray(means)
    return evidence, mean, np.sqrt(weight @ np.asarray(squares) - mean**2)


GENERATOR = np.random.default_rng(0)
HOURS = GENERATOR.uniform(1.0, 5.0, 30)
LINE = np.stack([np.ones(30), HOURS], axis=1)
OUTCOME = LINE @ [2.0, 1.5] + GENERATOR.normal(size=30)
SERIES = np.array([1.2, 0.7, 2.2, 1.9, 3.1, 2.5, 2.2, 1.0, 1.4, 2.0, 2.9, 2.2])
LAGGED = np.stack([np.ones(11), SERIES[:-1]], axis=1)
WIDTH = np.array([10.0, 10.0])
# Rows, outcome, prior widths of the coefficients, and of the noise.
CASES = {
    "line": (LINE, OUTCOME, WIDTH, 5.0),
    "predictor in thousands": (LINE * [1, 1000], 100 * OUTCOME, np.array([100.0, 10.0]), 100.0),
    "wide units, same priors": (LINE, 30.0 * OUTCOME, np.array([100.0, 100.0]), 100.0),
    "short series": (LAGGED, SERIES[1:], np.array([10.0, 1.0]), 5.0),
    **{
        f"line in units of {unit:g} and {hours:g}": (
            LINE * [1, hours], unit * OUTCOME, unit * WIDTH / [1, hours], unit * 5.0
        )
        for unit, hours in ((1e-4, 1.0), (1e4, 1.0), (1e4, 1e-4), (1.0, 1e4))
    },
    **{
        f"short series in units of {unit:g}": (
            LAGGED * [1, unit], unit * SERIES[1:], np.array([10.0 * unit, 1.0]), 5.0 * unit
        )
        for unit in (1e-4, 1e4)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_no_units_are_refused(name):
    x, y, width, noise = CASES[name]
    data = {"x": x, "y": y, "width": width, "noise": noise}
    evidence, mean, sd = exact(x, y, width, noise)
    # A short series goes on to SMC, which is dear.
    for key in KEYS[:1] if name.startswith("short") else KEYS:
        found = taut.infer(regression, data=data, key=key, num_draws=4000)
        estimate = found.estimates["log_evidence"]
        assert abs(estimate.value - evidence) < 5 * estimate.mc_error + 1e-3
        assert found.verdict.verdict != "do not believe"
        moments = found.resampled.first(2)
        assert np.all(np.abs(moments.mean - mean) < 5 * moments.mean_error + 1e-3 * sd)
        assert np.all(np.abs(moments.sd - sd) < 5 * moments.sd_error + 1e-3 * sd)


def test_the_evidence_moves_by_the_logarithm_of_the_unit_for_each_cell():
    """The quadrature itself."""
    first, mean, sd = exact(*CASES["line"])
    for name, unit in (
        ("line in units of 0.0001 and 1", 1e-4),
        ("line in units of 10000 and 1", 1e4),
    ):
        other, far, wide = exact(*CASES[name])
        assert other == pytest.approx(first - len(OUTCOME) * np.log(unit), abs=1e-6)
        np.testing.assert_allclose(far, unit * mean, rtol=1e-6)
        np.testing.assert_allclose(wide, unit * sd, rtol=1e-6)


@pytest.mark.parametrize("guide", ["mean-field", "laplace"])
@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_other_families_know_no_units_either(guide, unit):
    """y ~ N(mu, s): nearly independent, so that mean-field holds it as well."""

    def location(p, y, unit):
        prior = -0.5 * (p["mu"] / (10 * unit)) ** 2 - p["s"] / (5 * unit)
        return prior + jnp.sum(-0.5 * ((y - p["mu"]) / p["s"]) ** 2 - jnp.log(p["s"]))

    wishes = {"support": {"mu": "real", "s": "positive"}, "guide": guide, "num_draws": 2000}
    one, other = (
        taut.infer(lambda p, d: location(p, **d), data={"y": u * OUTCOME, "unit": u}, **wishes)
        for u in (1.0, unit)
    )
    shift = (2 - len(OUTCOME)) * np.log(unit)
    a, b = one.estimates["log_evidence"], other.estimates["log_evidence"]
    assert abs(b.value - a.value - shift) < 5 * np.hypot(a.mc_error, b.mc_error) + 1e-3
    assert {one.verdict.verdict, other.verdict.verdict} <= {"believe", "believe after resampling"}
    error = 5 * np.hypot(unit * one.resampled.mean_error, other.resampled.mean_error)
    assert np.all(np.abs(other.resampled.mean - unit * one.resampled.mean) < error)
