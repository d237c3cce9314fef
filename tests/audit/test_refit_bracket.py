"""Both ends of a program's evidence on data of its own making, and the end that they calibrate."""

import math
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from first_kept import FirstKept

import taut
from taut.audit import refit_bracket
from taut.audit.refits import remade
from taut.core import CALIBRATED, Estimate, InputError
from taut.core.kept_rows import keeping
from taut.inference.posterior import PosteriorOptions, fit_posterior
from taut.models.program import NumPyroProgram

Y = np.array([1.0, 2.0, 0.5, 1.2])
QUICK = {"num_starts": 1, "num_draws": 4000, "refine": "none"}


def sums(y, noise):
    """Of which data tell the sum: a mean-field guide misses their correlation, -0.3 for noise of 3."""
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(a + b, noise), obs=y)


def log_evidence(y, noise=3.0):
    return scipy.stats.multivariate_normal(np.zeros(4), noise**2 * np.eye(4) + 2).logpdf(y)


@pytest.fixture(scope="module")
def posterior():
    return taut.infer(sums, data={"y": Y, "noise": 3.0}, guide="mean-field", **QUICK)


def bracket(posterior, **arguments):
    options = PosteriorOptions(guide="mean-field", **QUICK)
    return posterior.bracket(options=options, **arguments)


def test_both_ends_hold_what_is_known(posterior):
    found = bracket(posterior)
    program, datum = NumPyroProgram.of(sums, {"y": Y, "noise": 3.0})
    with jax.enable_x64(True):
        _, observed, _ = remade(program, datum, jax.random.key(0), 20)
    known = log_evidence(np.asarray(observed["y"]))
    usable = np.isfinite(found.known_upper)
    assert usable.sum() >= 19
    for ends in (known - found.known_lower, found.known_upper - known):
        off = ends[usable]
        assert off.mean() > -5 * off.std(ddof=1) / math.sqrt(len(off))
        assert abs(off.mean()) < 0.1
    assert found.upper is not None, found
    assert found.lower == posterior.estimates["log_evidence"]  # of draws as those of the refits
    assert (found.lower.side, found.upper.side) == ("lower", "none")
    assert CALIBRATED in found.upper.flags
    assert math.isnan(found.upper.mc_error)  # of the m-th smallest of so few gaps
    assert "unknown (draws)" in str(found.upper)
    assert found.lower.value - 5 * found.lower.mc_error < log_evidence(Y) < found.upper.value
    assert 0 < found.width < 0.5
    assert "not a bound" in str(found)


def test_the_latents_that_made_the_data_end_it_from_above():
    """With two draws of a guide that is too narrow, both ends are far, on their own sides; without the
    exact draw the upper one is not above."""
    program, datum = NumPyroProgram.of(sums, {"y": Y, "noise": 1.0})
    with jax.enable_x64(True):
        found = fit_posterior(
            program, datum, PosteriorOptions(guide="mean-field", **QUICK), key=jax.random.key(0)
        )
        covariance = np.linalg.inv(np.eye(2) + 4)
        generator = np.random.default_rng(0)
        exact = generator.multivariate_normal(covariance.sum(axis=1) * Y.sum(), covariance, 200)
        own = found.candidate.family.sample(found.candidate.fitted.guide, generator, 200)

        def off(z):
            ends = [refit_bracket.known_end(found, _named(at), generator, count=2) for at in z]
            return np.array(ends) - log_evidence(Y, 1.0)

        right, wrong = off(exact), off(own)
    assert right.mean() > 5 * right.std(ddof=1) / math.sqrt(200)
    assert wrong.mean() < -5 * wrong.std(ddof=1) / math.sqrt(200)


def _named(at):
    return {"a": at[0], "b": at[1]}


def stubbed(monkeypatch, gaps, khats, verdict="believe"):
    """Fits whose ends are so far apart, one after the other, with one verdict or with one each."""
    verdicts = [verdict] * len(gaps) if isinstance(verdict, str) else verdict
    state = iter(zip(gaps, khats, verdicts, strict=True))

    def fit(model, datum, options, *, key):
        gap, khat, verdict = next(state)
        draws = SimpleNamespace(log_evidence=SimpleNamespace(value=-7.0), guide_khat=khat, gap=gap)
        return SimpleNamespace(draws=draws, verdict=SimpleNamespace(verdict=verdict))

    monkeypatch.setattr(refit_bracket, "fit_posterior", fit)
    monkeypatch.setattr(refit_bracket, "known_end", lambda found, *_, **__: -7.0 + found.draws.gap)


def test_the_end_is_above_all_but_one_gap_in_twenty(posterior, monkeypatch):
    gaps = np.random.default_rng(1).permutation(np.arange(39) / 100)
    stubbed(monkeypatch, gaps, np.full(39, 0.9))
    found = bracket(posterior, refits=39)
    assert found.upper is not None
    more = found.upper.value - found.lower.value - 1.96 * found.lower.mc_error
    assert more == pytest.approx(0.37)  # the 38th of 39, as 40 are alike


def test_refits_after_a_stop_are_as_they_were(posterior, monkeypatch):
    gaps, khats = np.random.default_rng(2).normal(size=39), np.full(39, 0.9)
    stubbed(monkeypatch, gaps, khats)
    all_of_them = FirstKept()
    with keeping(all_of_them):
        whole = bracket(posterior, refits=39)
    stubbed(monkeypatch, gaps[11:], khats[11:])
    with keeping(FirstKept(all_of_them, 11)):
        again = bracket(posterior, refits=39)
    assert again.upper is not None
    assert whole.upper is not None
    assert again.upper.value == whole.upper.value
    np.testing.assert_array_equal(again.known_upper, whole.known_upper)


@pytest.mark.parametrize("number", [19, 20, 38, 39, 40, 59, 60, 100])
def test_one_gap_more_is_below_the_end_in_19_cases_of_20_and_no_lower_end_is(number):
    """The rank of one gap among N + 1 alike is uniform: the k-th holds it with k / (N + 1)."""
    lower = Estimate(-7.0, "lower")
    gaps = np.random.default_rng(0).permutation(np.arange(1.0, number + 1))
    end, why = refit_bracket._upper(lower, gaps, False, 0.0, np.full(number, 0.5))
    assert end is not None, why
    rank = end.value - lower.value
    assert (rank - 1) / (number + 1) < 0.95 <= rank / (number + 1)


@pytest.mark.parametrize(
    ("change", "khat", "verdict", "why"),
    [
        ({}, -1.0, "believe", "harder than simulated ones, by the k-hat"),
        ({}, 0.9, "do not believe", "0 fits to simulated data are to be believed"),
        ({"doubted": True}, 0.9, "believe", "no error that is known"),
    ],
)
def test_an_end_that_cannot_be_calibrated_is_withheld(
    change, khat, verdict, why, posterior, monkeypatch
):
    stubbed(monkeypatch, np.full(19, 0.1), np.full(19, khat), verdict)
    if change:
        doubt = replace(posterior.verdict, verdict="do not believe")
        posterior = replace(posterior, verdict=doubt)
    found = bracket(posterior, refits=19)
    assert found.upper is None
    assert why in found.without_upper
    assert "no upper end" in str(found)
    assert found.width == math.inf


def test_too_few_refits_are_refused(posterior):
    with pytest.raises(InputError, match="at least 19 refits"):
        posterior.bracket(refits=18)


@pytest.mark.parametrize("khat", [-1.0, 0.9])
def test_a_fit_that_is_left_out_decides_nothing(khat, posterior, monkeypatch):
    """Neither by its gap nor by its k-hat, which would call harder data no harder."""
    gaps, khats = np.arange(19) / 100, np.full(19, khat)
    stubbed(monkeypatch, gaps, khats)
    without = bracket(posterior, refits=19)
    assert (without.upper is None) == (khat < posterior.guide_khat)
    verdicts = [*["believe"] * 7, "do not believe", *["believe"] * 12]
    stubbed(monkeypatch, np.insert(gaps, 7, 5.0), np.insert(khats, 7, 9.0), verdicts)
    found = bracket(posterior, refits=20)
    assert found.without_upper == without.without_upper
    assert (found.upper and found.upper.value) == (without.upper and without.upper.value)
    assert np.isnan(found.known_upper[7])
