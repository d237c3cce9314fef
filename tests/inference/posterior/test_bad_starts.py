"""What `taut.infer` says where nothing can be fitted, and starts near the bulk by Pathfinder."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from targets import types_unchecked
from test_gaussian_family import CENTRE, DIM, PRECISION, Formula, Quadratic

import taut
from taut.core import Datum, InputError, RunError
from taut.inference.posterior import LogDensity, pathfinder


def line(y, x):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(beta * x, 1.0), obs=y)


def unused(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("spare", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def ridge(y):
    numpyro.sample("scale", dist.HalfNormal(1.0))
    a = numpyro.sample("a", dist.ImproperUniform(constraints.real, (), (2,)))
    numpyro.sample("y", dist.Normal(a[0] + a[1], 1.0), obs=y)


def ridge_of_rows(y):
    a = numpyro.sample("a", dist.ImproperUniform(constraints.real, (), ()))
    b = numpyro.sample("b", dist.ImproperUniform(constraints.real, (), ()))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)


def all_ones(y):
    m = numpyro.sample("m", dist.ImproperUniform(constraints.real, (), ()))
    with numpyro.plate("rows", len(y)):
        c = numpyro.sample("c", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Bernoulli(logits=c + jnp.exp(m)), obs=jnp.ones_like(y))


def endless(p):
    return jnp.where(p["a"] > -9.0, jnp.inf, -(p["a"] ** 2))


Y = [1.0, 2.0, 3.0]


@pytest.mark.parametrize("guide", ["full-rank", "laplace"])
@pytest.mark.parametrize(
    ("target", "wishes", "kind", "message"),
    [
        (
            line, {"data": {"y": [1.0, np.nan, 3.0], "x": Y}},
            InputError, r"line, site 'y': expected data in the support .* got nan in row 2",
        ),
        (
            line, {"data": {"y": Y, "x": [1.0, 2.0, np.inf]}},
            InputError, r"site 'y': expected a finite log-density of 3 in row 3 .* beta = ",
        ),
        (
            endless, {"support": {"a": "real"}},
            InputError, r"endless: expected a finite log-density at the start, got inf at a = ",
        ),
        (
            unused, {"data": {"y": 1.0}},
            InputError, r"unused: expected a log-joint that changes .* zero in 'spare'",
        ),
        (
            ridge, {"data": {"y": 1.0}},
            RunError, r"^improper posterior: .* rising while 'a\[[01]\]' widens, .* Try a proper prior",
        ),
    ],
    ids=["nan in a row", "inf in a row", "inf", "no gradient", "improper"],
)  # fmt: skip
def test_a_bad_start_names_what_is_bad(target, wishes, kind, message, guide):
    with pytest.raises(kind, match=message) as caught:
        taut.infer(target, **wishes, guide=guide, num_starts=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("program", "name"), [(ridge_of_rows, "[ab]"), (all_ones, "m")])
def test_an_improper_posterior_is_said_to_be_one_in_minibatches_too(program, name):
    """Of shared latents alone, and beside latents that rows have to themselves."""
    message = (
        rf"^improper posterior: .* while '{name}' widens, .* standard deviation .* Try a proper"
    )
    with pytest.raises(RunError, match=message) as e:
        taut.infer(program, data={"y": Y}, subsample={"rows": 2})
    assert "\n" not in str(e.value)


def test_pathfinder_lands_on_a_gaussian_target(float64):
    density = LogDensity(Quadratic(PRECISION), Datum(CENTRE))
    begun = pathfinder(density, np.full(DIM, 1.0), key=jax.random.key(0))
    assert begun is not None
    scale = np.sqrt(np.diagonal(np.linalg.inv(PRECISION)))
    # The start lies a thousand standard deviations away in the narrowest coordinate.
    assert np.abs((np.full(DIM, 1.0) - CENTRE) / scale).max() > 999
    assert np.abs((begun.mean - CENTRE) / scale).max() < 1


def test_pathfinder_says_where_it_finds_nothing(float64):
    broken = LogDensity(Formula(lambda z: jnp.nan * z[0]), Datum(0.0))
    assert pathfinder(broken, np.zeros(2), key=jax.random.key(0)) is None


@pytest.mark.parametrize("guide", ["full-rank", "mean-field"])
def test_starts_by_pathfinder_reach_the_same_evidence(guide):
    y = np.array([0.4, 1.1, -0.3])
    found = taut.infer(
        line, data={"y": y, "x": np.ones(3)}, guide=guide, init="pathfinder", num_starts=2,
        num_draws=1000,
    )  # fmt: skip
    exact = -0.5 * (3 * np.log(2 * np.pi) + np.log(4.0) + np.sum(y**2) - y.sum() ** 2 / 4)
    evidence = found.estimates["log_evidence"]
    assert abs(evidence.value - exact) < 5 * evidence.mc_error + 1e-9
    with (
        types_unchecked(),
        pytest.raises(
            InputError, match=r"^init: expected random or pathfinder, got 'best'\. Try pathfinder"
        ),
    ):
        taut.infer(line, data={"y": y, "x": y}, init="best")  # pyright: ignore[reportArgumentType]


def test_of_several_starts_the_one_that_reached_a_mode_is_reported(monkeypatch):
    """The first start ends at a saddle, elsewhere."""
    module = sys.modules["taut.inference.posterior.candidate"]
    real, calls = module.laplace, []

    def found(density, z):
        mode = real(density, z)
        calls.append(mode)
        if len(calls) > 1:
            return mode
        away = mode.guide._replace(mean=mode.guide.mean + 5.0)
        return mode._replace(guide=away, num_negative=1)

    monkeypatch.setattr(module, "laplace", found)
    x, y = np.arange(3.0), np.array(Y)
    found = taut.infer(line, data={"y": y, "x": x}, guide="laplace", refine="none", key=0)
    assert len(calls) == 2
    assert found.resampled.mean[0] == pytest.approx((x @ y) / (1 + x @ x), abs=0.1)
    assert found.verdict.verdict == "believe"
