"""Padded blocks: every row once, in order, and no padding in any mean."""

import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import ConjugateGaussian

from taut.bounds import IWAE
from taut.core import Datum, InputError, Pair, over_rows, padded_size
from taut.evidence import expected_bound, importance_sampling

# The last row, which fills up the last block, is unlike all others: a mean that counts it twice is seen.
X = np.array([0.3, -0.2, 0.5, 0.1, -0.6, 0.4, 0.0, 0.2, -0.1, 9.0])
MODULES = [importlib.import_module(f"taut.evidence.{n}") for n in ("draws", "expected_bound")]


class ExactGuide(eqx.Module):
    """The posterior of a `ConjugateGaussian`: every log-weight is the log-evidence."""

    slope: float
    intercept: float
    scale: float

    def __call__(self, datum):
        return dist.Normal(self.slope * datum.x + self.intercept, self.scale)


@pytest.fixture
def known(float64, monkeypatch):
    """A pair, rows of more than one block, and the log-evidence of each by SciPy."""
    for module in MODULES:
        monkeypatch.setattr(module, "_BLOCK_ROWS", 4)
    model = ConjugateGaussian(jnp.array(0.9), jnp.array(-0.2), jnp.array(-0.3))
    intercept, scale = model.posterior(0.0)
    guide = ExactGuide(model.posterior(1.0)[0] - intercept, intercept, scale)
    return Pair(model, guide), Datum(X), np.array([model.log_evidence(x) for x in X])


def untrimmed(program, rows, *, width, parts=1, begin=0):
    """Planted: what comes out for the padding stays."""
    for first in range(begin, len(rows.x), width):
        numbers = np.minimum(np.arange(first, first + width, dtype=np.int32), len(rows.x) - 1)
        for part in range(parts):
            block = jax.tree.map(lambda leaf, n=numbers: leaf[n], rows)
            yield jax.tree.map(np.asarray, program(block, numbers, np.int32(part)))


def values_of(pair, rows):
    bound = expected_bound(pair, rows, IWAE(num_particles=2), key=jax.random.key(0))
    evidence = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=50)
    return bound, evidence.log_evidence


def test_a_mean_over_more_than_one_block_counts_every_row_once(known):
    pair, rows, log_evidence = known
    for found in values_of(pair, rows):
        assert found.count == len(X)
        # Terms of at most 60 nats, each a sum of three products, are rounded a dozen times.
        within = 12 * 60 * np.finfo(np.float64).eps
        np.testing.assert_allclose(found.values, log_evidence, rtol=0, atol=within)
        np.testing.assert_allclose(found.value, log_evidence.mean(), rtol=0, atol=within)


def test_planted_padding_in_a_mean_is_seen(known, monkeypatch):
    pair, rows, log_evidence = known
    for module in MODULES:
        monkeypatch.setattr(module, "over_rows", untrimmed)
    for found in values_of(pair, rows):
        assert len(found.values) == 12
        assert abs(found.value - log_evidence.mean()) > 1


def test_results_are_those_of_the_rows_in_order_and_of_one_shape():
    shapes = set()

    def program(block, numbers, part):
        shapes.add(block.x.shape)
        return {"x": 10 * part + jnp.asarray(block.x), "number": jnp.asarray(numbers)}

    found = list(over_rows(program, Datum(X), width=4, parts=2))
    assert shapes == {(4,)}
    assert [len(part["x"]) for part in found] == [4, 4, 4, 4, 2, 2]
    for part in range(2):
        x, numbers = (np.concatenate([f[n] for f in found[part::2]]) for n in ("x", "number"))
        np.testing.assert_array_equal(x, (10 * part + X).astype(np.float32))
        np.testing.assert_array_equal(numbers, np.arange(len(X)))


def test_fewer_rows_than_a_block_are_one_block_of_their_own():
    (found,) = over_rows(lambda block, *_: jnp.asarray(block.x), Datum(X[:3]), width=100)
    np.testing.assert_array_equal(found, X[:3].astype(np.float32))


@pytest.mark.parametrize("most", [7, 8, 64, 640])
def test_sizes_of_one_doubling_have_few_shapes(most):
    sizes = range(most // 2 + 1, most + 1)
    padded = [padded_size(n) for n in sizes]
    assert len(set(padded)) <= 4
    assert all(
        n <= p <= max(1.25 * n, n) and padded_size(p) == p
        for n, p in zip(sizes, padded, strict=True)
    )
    shapes = set()

    def program(block, *_):
        shapes.add(block.x.shape)
        return jnp.asarray(block.x)

    for n in sizes[::5]:
        (found,) = over_rows(program, Datum(np.arange(n, dtype=np.float32)), width=1000)
        np.testing.assert_array_equal(found, np.arange(n))
    assert shapes <= {(p,) for p in padded}


def test_a_block_is_under_way_while_the_last_is_read():
    given = []

    def program(block, numbers, part):
        given.append(int(numbers[0]))
        return jnp.asarray(block.x)

    results = over_rows(program, Datum(X), width=4)
    next(results)
    assert given == [0, 4]
    next(results)
    assert given == [0, 4, 8]


def test_a_program_that_averages_over_its_block_is_refused():
    with pytest.raises(InputError, match="an entry for each of the 4 rows of a block"):
        list(over_rows(lambda block, *_: jnp.mean(block.x), Datum(X), width=4))
