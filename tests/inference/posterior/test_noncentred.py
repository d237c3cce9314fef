"""Latents whose scale moves with others: as standard numbers where the guide over them is doubted."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import special, stats

import taut
from taut.core import InputError, total
from taut.models.program import NumPyroProgram

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
SCHOOLS = {"y": EFFECTS, "s": ERRORS}


def schools(y, s):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, s), obs=y)


def pooled(y, s):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    with numpyro.plate("schools", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, 3.0))
        numpyro.sample("y", dist.Normal(theta, s), obs=y)


def exact_schools():
    """Means, sds and log-evidence: mu and theta are Gaussian given tau, which is summed on a grid."""
    log_tau = np.linspace(-12.0, 8.0, 4001)
    tau = np.exp(log_tau)
    spread = 1 / (ERRORS[:, None] ** 2 + tau**2)
    precision = 1 / 25 + spread.sum(0)
    centre = (EFFECTS[:, None] * spread).sum(0) / precision
    log_p = 0.5 * (np.log(spread / (2 * np.pi)) - EFFECTS[:, None] ** 2 * spread).sum(0)
    log_p += 0.5 * precision * centre**2 - 0.5 * np.log(25 * precision)
    log_p += stats.halfcauchy.logpdf(tau, scale=5.0) + log_tau
    w = special.softmax(log_p)
    own = 1 / (1 / ERRORS[:, None] ** 2 + 1 / tau**2)
    mean = own * (EFFECTS[:, None] / ERRORS[:, None] ** 2 + centre / tau**2)
    square = own + (own / tau**2) ** 2 / precision + mean**2
    first = np.stack([centre, tau, *mean]) @ w
    second = np.stack([centre**2 + 1 / precision, tau**2, *square]) @ w
    step = np.log(log_tau[1] - log_tau[0])
    return first, np.sqrt(second - first**2), special.logsumexp(log_p) + step


@pytest.fixture(scope="module")
def fitted():
    return taut.infer(schools, data=SCHOOLS, key=1)


def test_a_centred_hierarchy_is_believed_and_right(fitted):
    mean, sd, log_evidence = exact_schools()
    assert fitted.verdict.verdict != "do not believe", fitted.verdict
    np.testing.assert_array_less(np.abs(fitted.resampled.mean - mean), 0.1 * sd)
    np.testing.assert_allclose(fitted.resampled.sd, sd, rtol=0.1)
    found = fitted.estimates["log_evidence"]
    assert abs(found.value - log_evidence) < 5 * found.mc_error
    assert "standard numbers in place of theta" in " ".join(fitted.notes)


def test_it_is_saved_and_loaded_in_its_coordinates(fitted, tmp_path):
    loaded = taut.load(fitted.save(tmp_path / "run"), like=schools, data=SCHOOLS)
    np.testing.assert_allclose(loaded.resampled.mean, fitted.resampled.mean, rtol=1e-9)
    np.testing.assert_array_equal(loaded.draws(9)["theta"], fitted.draws(9)["theta"])
    assert loaded.sample(4)["y"].shape == (4, 8)


def test_another_program_does_not_take_its_draws(fitted, tmp_path):
    def fixed(y, s):
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        numpyro.sample("tau", dist.HalfCauchy(5.0))
        with numpyro.plate("schools", 8):
            theta = numpyro.sample("theta", dist.Normal(mu, 3.0))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    with pytest.raises(InputError, match="in which latents scale theta"):
        taut.load(fitted.save(tmp_path / "run"), like=fixed, data=SCHOOLS)


def families(y):
    s = numpyro.sample("s", dist.HalfNormal(1.0).expand((2,)).to_event(1))
    a = numpyro.sample("a", dist.Normal(0.0, s).to_event(1))
    b = numpyro.sample("b", dist.StudentT(3.0, a[0], s[0]).expand((3,)))
    with numpyro.plate("rows", 4):
        c = numpyro.sample("c", dist.Laplace(b.mean(), s[1] ** 2))
        d = numpyro.sample("d", dist.Normal(c[:, None], s).to_event(1))
    numpyro.sample("walk", dist.Normal(d.sum(), 1.0))
    numpyro.sample("y", dist.Normal(d[:, 0], 1.0), obs=y)


def test_the_density_is_that_of_the_parameters_by_the_change_of_variables(float64):
    centred, datum = NumPyroProgram.of(families, {"y": jnp.arange(4.0)})
    other = centred.noncentred(datum)
    assert other is not None
    assert other.reading.noncentred == {"a", "b", "c", "d"}
    e = jnp.asarray(np.random.default_rng(0).normal(size=other.dim))

    def z(e):
        return centred.unconstrain(other.constrain(e))

    @jax.jit
    def both(e):
        there = z(e)
        back = other.unconstrain(other.constrain(e))
        log_p = total(centred.terms(datum, there)), total(other.terms(datum, e))
        return log_p, jax.jacobian(z)(e), back, other.constrain(e)

    (of_centred, found), jacobian, back, values = both(e)
    np.testing.assert_allclose(found, of_centred + np.linalg.slogdet(jacobian)[1], rtol=1e-12)
    np.testing.assert_allclose(back, e, atol=1e-12)
    standard = np.ravel(other.layout.parts(e)["c"])
    by_hand = values["b"].mean() + values["s"][1] ** 2 * standard
    np.testing.assert_allclose(values["c"], by_hand, rtol=1e-12)


def test_only_scales_that_move_have_other_coordinates():
    def one_school(y):
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        numpyro.sample("y", dist.Normal(numpyro.sample("theta", dist.Normal(mu, tau)), 1.0), obs=y)

    program, datum = NumPyroProgram.of(one_school, {"y": 1.0})
    other = program.noncentred(datum)
    assert other is not None
    assert other.reading.noncentred == {"theta"}
    program, datum = NumPyroProgram.of(pooled, SCHOOLS)
    assert program.noncentred(datum) is None
    program, datum = NumPyroProgram.of(schools, SCHOOLS)
    other = program.noncentred(datum)
    assert other is not None
    assert other.noncentred(datum) is None
