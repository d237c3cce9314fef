"""Programs fitted anew to data of their own making: ranks tell a right posterior from a wrong one."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from first_kept import FirstKept

import taut
from taut.api.calibrating import options_of
from taut.audit import refits
from taut.core import InputError
from taut.core.kept_rows import keeping
from taut.guides import FlowPosterior, FullRankGaussian
from taut.inference.posterior import PosteriorOptions
from taut.inference.posterior.guide_choice import choose_guide
from taut.models.program import (
    LogJoint,
    NamedValues,
    NumPyroProgram,
    given_observed,
    made_data,
    with_observed,
)

Y = np.array([1.0, 2.0, 0.5, 1.2])


def location(y):
    m = numpyro.sample("m", dist.Normal(0.0, 2.0))
    numpyro.sample("a", dist.Normal(0.0, 1.0))  # of which no data tell
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(m, 1.0), obs=y)


def scaled(y):
    m = numpyro.sample("m", dist.Normal(0.0, 2.0))
    with numpyro.handlers.scale(scale=3.0):
        numpyro.sample("y", dist.Normal(m, 1.0).expand((4,)).to_event(1), obs=y)


def improper(y):
    m = numpyro.sample("m", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(m, 1.0).expand((4,)).to_event(1), obs=y)


def judged(program=location, *, count=100, seconds=600.0, told=None, options=None):
    model, datum = NumPyroProgram.of(program, {"y": Y})
    with jax.enable_x64(True):
        return refits.calibration_by_refits(
            model, datum, options or PosteriorOptions(), key=jax.random.key(0), refits=count,
            num_draws=50, seconds=seconds, tell=(told if told is not None else []).append,
        )  # fmt: skip


def stubbed(monkeypatch, mean_of, sd, *, astray=0):
    """Fits whose draws of m are Normal(mean_of(y), sd), and so many others that weigh nothing."""

    def fit(model, datum, options, *, key):
        y = np.asarray(datum.x["taut observed"]["y"])
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        z = generator.standard_normal((500, 2)) * [sd, 1.0] + [mean_of(y), 0.0]
        z = np.concatenate([z, np.full((astray, 2), 50.0)])
        draws = SimpleNamespace(z=z, weights=np.repeat([1 / 500, 0.0], [500, astray]))
        verdict = SimpleNamespace(verdict="believe")
        return SimpleNamespace(draws=draws, values=NamedValues.of(model, datum), verdict=verdict)

    monkeypatch.setattr(refits, "fit_posterior", fit)


PRECISION = 1 / 4 + len(Y)


def exact(y):
    return y.sum() / PRECISION


def test_draws_are_ranked_by_their_weights(monkeypatch):
    stubbed(monkeypatch, exact, PRECISION**-0.5, astray=500)
    found = judged()
    assert found.passes, found


def test_refits_after_a_stop_are_as_they_were(monkeypatch):
    stubbed(monkeypatch, exact, PRECISION**-0.5)
    all_of_them = FirstKept()
    with keeping(all_of_them):
        whole = judged()
    with keeping(FirstKept(all_of_them, 37)):
        np.testing.assert_equal(judged(), whole)


def test_the_exact_posterior_passes(monkeypatch):
    stubbed(monkeypatch, exact, PRECISION**-0.5)
    told = []
    found = judged(told=told)
    assert found.passes, found
    assert [q.name for q in found.quantities] == ["m", "a", "log p(x given z)", "log p(x, z)"]
    assert "100 simulated data sets" in found.verdict
    assert len(told) == 1
    assert told[0].startswith("100 refits take ")


@pytest.mark.parametrize(
    ("mean_of", "sd", "failing"),
    [
        (exact, 0.5 * PRECISION**-0.5, "m"),
        (lambda y: exact(y) + 0.4, PRECISION**-0.5, "m"),
        (lambda y: 0.0, 2.0, "log p(x given z)"),  # the prior, whose ranks of m are uniform
    ],
)
def test_a_wrong_posterior_fails(monkeypatch, mean_of, sd, failing):
    stubbed(monkeypatch, mean_of, sd)
    found = [q.name for q in judged().failing]
    assert failing in found
    assert "a" not in found


def test_made_data_follow_the_program_and_take_the_place_of_its_own():
    model, datum = NumPyroProgram.of(location, {"y": Y})
    keys = jax.random.split(jax.random.key(1), 4000)
    latents, observed = jax.vmap(lambda key: made_data(model, datum, key))(keys)
    noise = np.asarray(observed["y"] - latents["m"][:, None])
    assert abs(np.std(latents["m"]) / 2 - 1) < 5 / np.sqrt(2 * 4000)
    assert abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)
    one = {"y": observed["y"][0]}
    given = given_observed(model, one)
    other, its_datum = NumPyroProgram.of(location, {"y": np.asarray(one["y"])})
    z = jnp.array([0.3, -0.1])
    found = given.log_joint(with_observed(datum, one), z)
    np.testing.assert_allclose(found, other.log_joint(its_datum, z), rtol=1e-6)


def test_a_posterior_is_calibrated_by_fits_like_its_own(monkeypatch):
    posterior = taut.infer(location, data={"y": Y}, num_starts=1, num_draws=500, guide="mean-field")
    stubbed(monkeypatch, exact, PRECISION**-0.5)
    right = refits.fit_posterior
    asked = []

    def fit(model, datum, options, *, key):
        asked.append(options.guide)
        return right(model, datum, options, key=key)

    monkeypatch.setattr(refits, "fit_posterior", fit)
    found = posterior.calibrate(refits=60, draws=20)
    assert found.passes, found
    assert found.num_rows == 60
    assert asked == 60 * ["mean-field"]
    assert "whole prior" in " ".join(found.notes)


def test_refits_have_the_guide_of_the_posterior():
    """Ranks and layers unlike those that a family has unasked; a flow that a Gaussian does not beat."""
    low_rank = taut.infer(
        lambda z: -0.5 * jnp.sum(z**2), support={"z": ("real", 3)}, guide="low-rank:1",
        num_starts=1, num_draws=100, refine="none",
    )  # fmt: skip
    flow = replace(
        low_rank,
        family="flow",
        layers="planar:1",
        guide=FlowPosterior(3, "planar:1", key=jax.random.key(0)),
    )
    plain = replace(low_rank, family="laplace", guide=FullRankGaussian(3))
    wishes = {"low-rank:1": low_rank, "planar:1": flow, "laplace": plain}
    for wish, posterior in wishes.items():
        chosen = choose_guide(options_of(posterior).guide, 3, subsampled=False)
        assert chosen == choose_guide(wish, 3, subsampled=False)


@pytest.mark.parametrize(
    ("program", "wishes", "message"),
    [
        (scaled, {}, "a scale at site 'y'"),
        (improper, {}, "got an improper one"),
        (location, {"count": 49}, "at least 50 refits"),
        (location, {"seconds": 1e-9}, "refits within 1e-09 seconds"),
    ],
)
def test_what_cannot_be_judged_is_one_line(monkeypatch, program, wishes, message):
    stubbed(monkeypatch, exact, 1.0)
    with pytest.raises(InputError, match=message) as caught:
        judged(program, **wishes)
    assert "\n" not in str(caught.value)


def test_a_log_joint_makes_no_data():
    model, datum = LogJoint.of(lambda z: -0.5 * z**2, {"z": "real"}, {})
    with pytest.raises(InputError, match="a log-joint, which is a density alone"):
        refits.calibration_by_refits(
            model, datum, PosteriorOptions(), key=jax.random.key(0), refits=50, num_draws=9,
            seconds=9.0, tell=print,
        )  # fmt: skip
