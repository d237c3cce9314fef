"""A pool of mixtures has the mean of their densities, and is a fit like any other."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.special

import taut
from taut.core import InputError
from taut.fitted.conditional import Conditional

GENERATOR = np.random.default_rng(8)
ROWS = np.concatenate([GENERATOR.normal(m, 1.0, size=(60, 2)) for m in (0.0, 6.0, 12.0)])
DATA = taut.load_data(ROWS, dtype=np.float64)


@pytest.fixture(scope="module")
def fits():
    return [taut.em(DATA, components=k, restarts=1, key=k) for k in (2, 3)]


def test_the_density_is_the_mean_of_the_densities(fits, tmp_path):
    pooled = taut.pool(fits)
    own = np.stack([fit.evidence(ROWS).values for fit in fits])
    wanted = scipy.special.logsumexp(own, axis=0) - np.log(2)
    np.testing.assert_allclose(pooled.evidence(ROWS).values, wanted, rtol=1e-10)
    test = pooled.estimates["log_evidence"]
    np.testing.assert_allclose(test.values, wanted[test.index], rtol=1e-10)
    assert pooled.architecture.components == 5
    holes = np.array([[0.5, np.nan]])
    parts = [fit.impute(holes).mean[0, 1] for fit in fits]
    assert min(parts) <= pooled.impute(holes).mean[0, 1] <= max(parts)
    again = taut.load(pooled.save(tmp_path / "run"))
    np.testing.assert_allclose(again.evidence(ROWS).values, wanted, rtol=1e-10)


@pytest.mark.parametrize("place", [0, 1])
def test_a_pool_has_no_bound_where_one_of_its_fits_has_none(fits, place):
    some = list(fits)
    evidence = some[place].estimates["log_evidence"]
    estimates = {**some[place].estimates, "log_evidence": evidence.without_bound()}
    some[place] = replace(some[place], estimates=estimates)
    assert taut.pool(some).estimates["log_evidence"].side == "none"
    assert taut.pool(fits).estimates["log_evidence"].side == "exact"


def test_tables_of_kinds_are_pooled():
    frame = pl.DataFrame({"a": ROWS[:, 0], "b": np.where(ROWS[:, 1] > 4, "high", "low")})
    fits = [taut.em(frame, model="mixed", components=2, restarts=1, key=k) for k in range(2)]
    own = np.stack([fit.evidence(frame).values for fit in fits])
    wanted = scipy.special.logsumexp(own, axis=0) - np.log(2)
    np.testing.assert_allclose(taut.pool(fits).evidence(frame).values, wanted, rtol=1e-10)


def test_what_cannot_be_pooled_is_refused(fits):
    others = taut.em(ROWS[:90], components=2, restarts=1)
    tied = taut.em(DATA, model=taut.GMM(covariance="tied"), components=2, restarts=1)
    ppca = taut.em(DATA, model="ppca", components=1)
    refused = {
        "got none": [],
        "fits to the same rows": [fits[0], others],
        "one covariance for all": [tied, tied],
        "mixtures of one form": [fits[0], tied],
        "got ppca": [ppca],
    }
    for line, some in refused.items():
        with pytest.raises(InputError, match=line):
            taut.pool(some)


@pytest.fixture(scope="module", params=["classes", "numbers"])
def with_target(request):
    target = ROWS[:, 1] > 5 if request.param == "classes" else ROWS[:, 1] + ROWS[:, 0]
    return pl.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1], "y": target})


def test_a_pool_has_no_head_of_one_of_its_fits(with_target, tmp_path):
    data = taut.load_data(with_target, target="y", dtype=np.float64)
    fits = [taut.em(data, components=k, restarts=1, key=k) for k in (2, 3)]
    pooled = taut.pool(fits)
    assert "target_nll" in fits[0].estimates
    assert "log_evidence" in pooled.estimates
    scores = {"accuracy", "target_nll", "ece", "rmse", "coverage"}
    for fitted in (pooled, taut.load(pooled.save(tmp_path / "run"))):
        assert not scores & set(fitted.estimates)
        assert any("'y'" in note and "not predicted" in note for note in fitted.facts.notes)
        with pytest.raises(InputError, match="a fit with a target"):
            fitted.predict(with_target)
    alone = taut.pool(fits[:1])
    assert set(alone.estimates) == set(fits[0].estimates)
    assert alone.predict(ROWS).target == "y"


def test_a_pool_predicts_a_column_given_the_others(with_target):
    data = taut.load_data(with_target, target="y", target_as="column", dtype=np.float64)
    fits = [taut.em(data, model="mixed", components=k, restarts=1, key=k) for k in (2, 3)]
    pooled = taut.pool(fits)
    assert "target_nll" in fits[0].estimates
    assert "target_nll" not in pooled.estimates
    found = pooled.predict(with_target)
    if pooled.schema.classes is None:
        assert np.corrcoef(found.mean, with_target["y"])[0, 1] > 0.9
    else:
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-9)


def test_a_pool_predicts_by_its_own_conditional_in_any_order():
    """What calibrates one fit on validation rows is not what calibrates the pool."""
    rows = pl.DataFrame({"a": ROWS[:, 0], "y": np.where(ROWS[:, 1] > 5, "high", "low")})
    data = taut.load_data(rows, target="y", target_as="column", dtype=np.float64)
    fits = [taut.em(data, model="mixed", components=k, restarts=1, key=k) for k in (1, 3)]
    tempered = [
        replace(fit, predictor=Conditional(np.asarray(t)))
        for fit, t in zip(fits, (0.5, 2.0), strict=True)
    ]
    pooled = taut.pool(tempered)
    joint = np.stack(
        [pooled.evidence(rows.with_columns(y=pl.lit(name))).values for name in ("high", "low")],
        axis=1,
    )
    wanted = scipy.special.softmax(joint, axis=1)
    np.testing.assert_allclose(pooled.predict(rows).probabilities, wanted, rtol=1e-9)
    other = taut.pool(tempered[::-1]).predict(rows)
    np.testing.assert_allclose(other.probabilities, wanted, rtol=1e-9)
    assert "probabilities are not calibrated" in pooled.facts.notes[-1]
    assert taut.pool(tempered[:1]).predictor is tempered[0].predictor
