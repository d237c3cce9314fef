"""What a `Posterior` is used for: derived values, new data, other bounds, all of a conjugate program."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal

import taut
from taut.core import InputError
from taut.fitted.posterior_loading import _guide
from taut.guides import FlowPosterior, FullRankGaussian, LowRankGaussian, MeanFieldGaussian
from taut.runs import RunFolder

Y = np.array([0.3, 1.9, 1.2, 0.8, 1.5])
PRECISION = 0.25 + len(Y)
MEAN, SD = Y.sum() / PRECISION, PRECISION**-0.5
COVARIANCE: Any = 4.0 + np.eye(5)
LOG_EVIDENCE = multivariate_normal.logpdf(Y, np.zeros(5), COVARIANCE)


def program(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.deterministic("twice", 2 * mu)
    numpyro.deterministic("fitted", jnp.full(2000, mu))
    numpyro.factor("nothing", 0.0 * mu)
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


@pytest.fixture(scope="module")
def posterior():
    """By Laplace's method, which is exact here."""
    return taut.infer(program, data={"y": Y}, guide="laplace", num_draws=4000)


def test_derived_values_are_reported_after_the_latents(posterior):
    assert posterior.coordinates == ("mu", "twice")
    assert posterior.notes == ("derived values of many cells are not reported: fitted",)
    found = posterior.resampled
    assert np.all(np.abs(found.mean - [MEAN, 2 * MEAN]) < 5 * found.mean_error)
    assert np.all(np.abs(found.sd - [SD, 2 * SD]) < 5 * found.sd_error)
    draws = posterior.draws(100)
    assert set(draws) == {"mu", "twice"}
    np.testing.assert_allclose(draws["twice"], 2 * draws["mu"])
    np.testing.assert_allclose(posterior.to_inference_data(num_draws=100).posterior["twice"][0],
                               draws["twice"])  # fmt: skip


def test_what_is_called_raw_is_of_the_guides_own_draws(posterior):
    """A fifth of the draws are wider than the guide, and would show in its standard deviations."""
    table, own = posterior.coordinate_draws(), posterior.num_guide
    assert own == 3200
    assert abs(table[:own, 0].std() / SD - 1) < 5 / np.sqrt(2 * own) < table[own:, 0].std() / SD - 1
    raw = posterior.raw
    np.testing.assert_allclose(raw.mean, table[:own].mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(raw.sd, table[:own].std(axis=0), rtol=1e-3)
    assert (np.abs(raw.sd / table.std(axis=0) - 1) > 2e-3).all()  # those of all draws are others
    apart = np.quantile(table[:own], raw.probabilities, axis=0).T - raw.quantiles
    assert (np.abs(apart) < 0.02 * raw.sd[:, None]).all()
    groups = posterior.to_inference_data(num_draws=500)
    for drawn in (posterior.draws(500, kind="raw")["mu"], groups.guide["mu"][0]):
        assert np.isin(np.asarray(drawn), table[:own, 0]).all()
    assert not np.isin(posterior.draws(500)["mu"], table[:own, 0]).all()


def test_it_prints_as_a_short_table(posterior):
    lines = repr(posterior).splitlines()
    assert str(posterior) == repr(posterior)
    assert lines[0].startswith("Posterior of ")
    assert lines[0].endswith(", 1 coordinate")
    assert lines[1].split() == ["mean", "sd", "5", "%", "50", "%", "95", "%"]
    name, mean, sd = lines[2].split()[:3]
    assert name == "mu"
    assert abs(float(mean) - MEAN) < 0.1 * SD
    assert abs(float(sd) / SD - 1) < 0.1
    assert lines[-2:] == [
        f"log-evidence {posterior.estimates['log_evidence']}", str(posterior.verdict)
    ]  # fmt: skip


@pytest.mark.parametrize("moments", ["raw", "resampled"])
@pytest.mark.parametrize("part", ["mean", "sd", "quantiles"])
def test_what_it_prints_is_of_the_weighted_draws(moments, part, posterior):
    found = getattr(posterior, moments)
    moved = replace(posterior, **{moments: found._replace(**{part: getattr(found, part) + 1})})
    assert (repr(moved) != repr(posterior)) == (moments == "resampled")


def test_many_coordinates_are_counted_where_it_prints():
    found = taut.infer(
        lambda z: -0.5 * jnp.sum(z**2), support={"z": ("real", 30)}, guide="mean-field",
        num_starts=1, num_draws=100, refine="none",
    )  # fmt: skip
    lines = repr(found).splitlines()
    assert len(lines) == 15
    assert [line.split()[0] for line in lines[2:12]] == [f"z[{i}]" for i in range(10)]
    assert lines[12] == "..., 20 more"


def test_new_data_have_the_spread_of_parameters_and_of_rows(posterior):
    new = posterior.sample(20_000)
    assert set(new) == {"y"}
    variance = SD**2 + 1
    assert np.all(np.abs(new["y"].mean(axis=0) - MEAN) < 5 * np.sqrt(variance / 20_000))
    found = np.cov(new["y"], rowvar=False)
    error = np.sqrt(2 / 20_000) * variance
    # Rows share mu and nothing else.
    assert np.all(np.abs(found - SD**2 - np.eye(5)) < 5 * error)
    assert abs(found[0, 1]) > 5 * error, "rows of independent parameters are caught"
    again = posterior.sample(3, key=1)["y"]
    np.testing.assert_array_equal(again, posterior.sample(3, key=1)["y"])


def test_every_bound_is_the_evidence_where_the_guide_is_the_posterior(posterior):
    for found in (posterior.bound(taut.IWAE(3)), posterior.evidence(num_particles=100)):
        assert found.value == pytest.approx(LOG_EVIDENCE, abs=1e-6)
        assert found.unit == "nats"
        assert found.side == "lower"
    assert posterior.evaluate(num_particles=100).ess[0] == pytest.approx(100)


def test_no_draws_are_refused(posterior):
    for asked in (posterior.evidence, posterior.evaluate):
        with pytest.raises(taut.InputError, match="at least two particles"):
            asked(num_particles=0)


def test_a_saved_posterior_is_loaded_with_its_program(posterior, tmp_path):
    posterior.save(tmp_path / "run")
    again = taut.load(tmp_path / "run", like=program, data={"y": Y})
    for name in ("khat", "guide_khat", "khat_threshold", "ess", "num_guide", "family", "verdict",
                 "notes", "trace", "coordinates"):  # fmt: skip
        assert getattr(again, name) == getattr(posterior, name), name
    for ours, theirs in zip(again.resampled[:-1], posterior.resampled[:-1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_array_equal(again.draws(50)["mu"], posterior.draws(50)["mu"])
    np.testing.assert_array_equal(again.guide.features, posterior.guide.features)
    assert again.estimates["elbo"].value == posterior.estimates["elbo"].value
    with pytest.raises(
        InputError, match=r"expected the program that was fitted, with the latents mu, got a\[2\]"
    ):
        taut.load(tmp_path / "run", like=lambda a: -jnp.sum(a**2), support={"a": ("real", 2)})


def test_posteriors_compare_on_the_same_data_only(posterior, tmp_path):
    found = taut.compare(posterior, posterior)
    assert set(found) == {"elbo", "log_evidence"}
    assert found["log_evidence"].value == 0
    assert found["log_evidence"].unit == "nats"
    other = taut.infer(program, data={"y": Y + 1}, guide="laplace", num_draws=100)
    with pytest.raises(
        InputError, match=r"expected two runs on the same data, got arrays of shape"
    ):
        taut.compare(posterior, other)
    posterior.save(tmp_path / "run")
    assert taut.compare(tmp_path / "run", tmp_path / "run")["elbo"].value == 0
    with pytest.raises(InputError, match=r"expected two run folders, or two posteriors in memory"):
        taut.compare(posterior, tmp_path / "run")


def test_an_architecture_is_no_program(posterior, tmp_path):
    posterior.save(tmp_path / "run")
    for like in (None, taut.VAE()):
        with pytest.raises(InputError, match=r"got the posterior of a program\. Try `taut show"):
            taut.load(tmp_path / "run", like=like)


def test_guides_of_every_family_come_back(float64):
    """What `save` writes by name, from arrays alone."""
    flow = FlowPosterior(2, "planar:2", loc=np.array([0.3, -2.0]), key=jax.random.key(3))
    flat, _ = jax.tree_util.tree_flatten_with_path(flow)
    arrays = {jax.tree_util.keystr(place): np.asarray(leaf) for place, leaf in flat}
    again = _guide({"guide": "flow", "layers": "planar:2"}, 2, arrays)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, flow))
    for name, size, family in (
        ("mean-field", 6, MeanFieldGaussian(3)), ("low-rank", 12, LowRankGaussian(3, 2)),
        ("structured", 9, FullRankGaussian(3)), ("laplace", 9, FullRankGaussian(3)),
    ):  # fmt: skip
        assert family.num_features == size
        assert _guide({"guide": name}, 3, {"features": np.zeros(size)}).family == family


def test_a_fitted_model_is_no_posterior(tmp_path):
    RunFolder.create(tmp_path / "run", {})
    text = '{"format": 1, "architecture": {"name": "vae"}, "precision": "float32"}'
    (tmp_path / "run" / "model.json").write_text(text)
    with pytest.raises(
        InputError, match=r"expected the posterior of .*, got a fitted model, vae\. Try taut\.load"
    ):
        taut.load(tmp_path / "run", like=program)


def test_what_a_density_cannot_do_is_said():
    found = taut.infer(lambda a: -0.5 * a**2, support={"a": "real"}, guide="laplace", num_draws=100)
    assert found.evidence(num_particles=100).value == pytest.approx(0.5 * np.log(2 * np.pi))
    with pytest.raises(InputError, match=r"expected a NumPyro program, .* got a log-joint"):
        found.sample(3)
    with pytest.raises(InputError, match=r"^num_samples: expected at least one sample, got 0"):
        found.sample(0)
