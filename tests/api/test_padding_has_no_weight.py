"""What fills up a block of rows is no row: neither evidence nor bound nor EM sees it."""

import sys
from typing import Any

import jax
import numpy as np
import pytest
from parts_of_rows import em_of, exact_data, rows_of

import taut
from taut.bounds import ELBO
from taut.core import Datum, Estimate
from taut.evidence import expected_bound, importance_sampling
from taut.evidence.closed_form import closed_form
from taut.inference.exact import log_evidences
from taut.inference.exact.row_blocks import RowBlocks

NUMBER, WIDTH = 7, 3  # two whole blocks and one with two rows of padding


@pytest.fixture(scope="module")
def exact_pair() -> Any:
    return em_of(exact_data()).pair


def _by_rows(name: str, pair: Any, rows: Datum) -> Estimate:
    model, _ = pair.bind()
    key = jax.random.key(3)
    return {
        "closed form": lambda: closed_form(model, rows),
        "importance": lambda: importance_sampling(pair, rows, key=key, num_particles=4).elbo,
        "bound": lambda: expected_bound(pair, rows, ELBO(), key=key),
        "em": lambda: Estimate.from_rows(
            log_evidences(model, RowBlocks(np.asarray(rows.x))), side="exact"
        ),
    }[name]()


@pytest.fixture
def narrow(monkeypatch) -> None:
    for module in ("draws", "expected_bound", "closed_form"):
        # Two of these modules have a function's name.
        monkeypatch.setattr(sys.modules[f"taut.evidence.{module}"], "_BLOCK_ROWS", WIDTH)
    monkeypatch.setattr("taut.inference.exact.row_blocks._CHUNK_CELLS", WIDTH * 80)


@pytest.mark.parametrize("name", ["closed form", "importance", "bound", "em"])
def test_rows_that_fill_up_a_block_are_no_rows(name, exact_pair, narrow, float64):
    """The last row is what blocks are filled with: changing it changes its own value alone."""
    x = rows_of("test")[:NUMBER]
    found = _by_rows(name, exact_pair, Datum(x))
    assert found.values is not None
    assert found.count == len(found.values) == NUMBER
    assert found.value == np.mean(found.values)
    changed = np.array(x)
    changed[-1] += 3.0
    other = _by_rows(name, exact_pair, Datum(changed))
    assert other.values is not None
    np.testing.assert_array_equal(other.values[:-1], found.values[:-1])
    assert other.values[-1] != found.values[-1]


def _moments(chunk: int | None, monkeypatch: Any) -> tuple[np.ndarray, np.ndarray, float]:
    if chunk is not None:
        monkeypatch.setattr("taut.inference.exact.row_blocks._CHUNK_CELLS", chunk * 40)
    fit = em_of(exact_data(), model=taut.GMM(components=1), floor=0.0)
    model: Any = fit.model
    factor = np.asarray(model.covariance.tril(model.scale, model.means))[0]
    return np.asarray(model.means[0]), factor @ factor.T, fit.history[-1]["bound"]


@pytest.mark.parametrize("chunk", [None, 3, 7])
def test_padding_has_no_weight_in_em(chunk, monkeypatch):
    """One component has the rows' own mean and covariance, however they are cut."""
    x = rows_of("train")
    mean, covariance, bound = _moments(chunk, monkeypatch)
    allowed = 64 * len(x) * np.finfo(float).eps  # of sums of 40 terms of order ten
    np.testing.assert_allclose(mean, x.mean(0), rtol=0, atol=allowed)
    np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), rtol=0, atol=10 * allowed)
    # Of a normal density at its own moments: -(D log 2 pi + log |S| + D) / 2.
    entropy = -0.5 * (5 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + 5)
    assert bound == pytest.approx(entropy, abs=100 * allowed)


def test_padding_that_counts_is_caught(exact_pair, narrow, float64, monkeypatch):
    module: Any = sys.modules["taut.evidence.expected_bound"]
    over_rows = module.over_rows

    def padded(program: Any, rows: Datum, *, width: int, **given: Any) -> Any:
        number = -(-len(rows.x) // width) * width
        filled = Datum(np.asarray(rows.x)[np.minimum(np.arange(number), len(rows.x) - 1)])
        return over_rows(program, filled, width=width, **given)

    monkeypatch.setattr(module, "over_rows", padded)
    with pytest.raises(AssertionError):
        test_rows_that_fill_up_a_block_are_no_rows("bound", exact_pair, None, None)
