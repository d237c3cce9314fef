"""`taut.compare`: paired differences of fits in memory and on disk, on one source of data only."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from unchecked import types_unchecked

import taut
from taut.core import Estimate, InputError, paired_difference
from taut.data import DataOptions
from taut.fitted import Fit
from taut.fitted.facts import FitFacts, RowCounts
from taut.recipe import Recipe

RNG = np.random.default_rng(2)
SCHEMA = taut.load_data(RNG.normal(size=(40, 2))).schema
FACTS = FitFacts(RowCounts(32, 4, 4), 1, 1, 1.0, 1.0, "CPU")


def _fit(source: str | None = "rows.csv", index: int = 0, **estimates: Estimate) -> Fit:
    architecture = taut.GMM(2)
    made = {
        name: Estimate.from_rows(RNG.normal(size=4), side="lower", index=index + np.arange(4))
        for name in ("elbo", "log_evidence")
    }
    recipe = Recipe(data=DataOptions(source=source))
    pair = architecture.init(SCHEMA, jax.random.key(0))
    return Fit(pair, architecture, SCHEMA, FACTS, recipe, (), {**made, **estimates})


@pytest.mark.parametrize("other", [1, None, np.zeros((3, 2))])
def test_what_is_no_result_is_refused(other):
    words = r"compare: expected two of: a fit, .* got an object of type .* as the second\. Try what"
    with types_unchecked(), pytest.raises(InputError, match=words):
        taut.compare(_fit(), other)


def test_differences_are_paired_whether_in_memory_or_on_disk(tmp_path):
    first, second = _fit(), _fit()
    second.save(tmp_path / "run")
    for one, other in ((first, second), (first, tmp_path / "run"), (first, str(tmp_path / "run"))):
        found = taut.compare(one, other)
        assert set(found) == {"elbo", "log_evidence"}
        for name, difference in found.items():
            expected = paired_difference(first.estimates[name], second.estimates[name])
            assert str(difference) == str(expected)
            np.testing.assert_array_equal(difference.values, expected.values)
    turned = taut.compare(tmp_path / "run", first)
    assert turned["elbo"].value == -taut.compare(first, tmp_path / "run")["elbo"].value


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            _fit("others.csv"),
            r"expected two runs on the same data, got 'rows\.csv', .*'others\.csv'",
        ),
        (_fit(None), r"expected two runs on the same data, got 'rows\.csv', .*None"),
        (
            replace(_fit(), schema=replace(SCHEMA, support="count")),
            r"support real, .* and 'rows\.csv', .*support count",
        ),
        (_fit(index=1), r"expected the same rows on both sides"),
    ],
)
def test_other_data_and_other_rows_are_refused(other, words, tmp_path):
    first = _fit()
    for second in (other, other.save(tmp_path / "run")):
        with pytest.raises(InputError, match=words):
            taut.compare(first, second)


def test_a_fit_that_was_not_measured_is_refused(tmp_path):
    bare = replace(_fit(), estimates={})
    with pytest.raises(InputError, match="expected two runs with estimates in common"):
        taut.compare(_fit(), bare)
    with pytest.raises(InputError, match="expected a finished run"):
        taut.compare(_fit(), bare.save(tmp_path / "run"))


def test_fits_that_were_not_measured_are_compared_by_what_evaluate_finds():
    bare = replace(_fit(), estimates={})
    words = (
        r"got none, as it was not measured and elbo, log_evidence\. "
        r"Try taut\.core\.paired_difference of what `evaluate` of both finds"
    )
    with pytest.raises(InputError, match=words):
        taut.compare(bare, _fit())
