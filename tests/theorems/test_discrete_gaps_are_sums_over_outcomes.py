"""Of few discrete units both gaps are without draws: log p(x), and the best product of units, by search.

log p(x, z) is a table over the outcomes; everything is found again in NumPy, the best member by L-BFGS
from many starts.
"""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from scipy.special import log_softmax, logsumexp

from taut.audit import gaps
from taut.audit.gaps import audited_evidence
from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, AbstractModel, Datum, Pair
from taut.guides import FactorizedUnits
from taut.models import StochasticLayer

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(3)


class Tables(AbstractModel):
    """log p(x, z) = tables[x, z]: units of some outcomes each, z as `StochasticLayer` has them."""

    tables: Any
    units: int = eqx.field(static=True)
    levels: int = eqx.field(static=True)

    def terms(self, datum, z):
        digits = jnp.argmax(z, axis=1) if z.ndim == 2 else z.astype(int)
        place = self.levels ** jnp.arange(self.units - 1, -1, -1)
        prior = -self.units * jnp.log(float(self.levels))
        return {
            LOG_LIKELIHOOD: self.tables[datum.x, digits @ place] - prior,
            LOG_PRIOR: jnp.asarray(prior),
        }


class Features(eqx.Module):
    """A guide of independent units whose features are a table over rows."""

    table: Any
    family: FactorizedUnits

    def features(self, datum: Datum) -> Any:
        return self.table[datum.x]

    def __call__(self, datum: Datum) -> Any:
        return self.family(self.features(datum))


def pair_of(tables: np.ndarray, units: int, levels: int | None, features: np.ndarray) -> Pair:
    family = FactorizedUnits(StochasticLayer(units, levels))
    return Pair(
        Tables(jnp.asarray(tables), units, levels or 2), Features(jnp.asarray(features), family)
    )


def divided(pair: Pair, rows: int) -> Any:
    data = Datum(jnp.arange(rows), index=np.arange(rows))
    evidence, _ = audited_evidence(pair, data, key=KEY, num_particles=2000)
    assert evidence.log_evidence.side == "exact"
    return gaps(pair, data, evidence, key=KEY)


def products(features: np.ndarray, units: int, levels: int | None) -> np.ndarray:
    """log q of every outcome, (M,)."""
    f = features.reshape(units, -1)
    log_q = log_softmax(f if levels else np.hstack([np.zeros((units, 1)), f]), axis=1)
    every = itertools.product(range(levels or 2), repeat=units)
    return np.array([sum(log_q[d, c] for d, c in enumerate(z)) for z in every])


def elbo(features: np.ndarray, table: np.ndarray, units: int, levels: int | None) -> float:
    log_q = products(features, units, levels)
    return float(np.exp(log_q) @ (table - log_q))


def best(table: np.ndarray, units: int, levels: int | None) -> float:
    """The largest ELBO of a product, of many local searches."""
    size = units * (levels or 1)
    ends = [
        scipy.optimize.minimize(lambda f: -elbo(f, table, units, levels), start).fun
        for start in 3 * np.random.default_rng(0).standard_normal((25, size))
    ]
    return -min(ends)


@pytest.mark.parametrize(("units", "levels"), [(1, None), (3, None), (4, None), (2, 3), (1, 5)])
def test_both_gaps_are_those_of_a_search_over_all_members(units, levels, float64):
    rows, size = 4, units * (levels or 1)
    tables = 1.5 * RANDOM.standard_normal((rows, (levels or 2) ** units)) - 3
    features = RANDOM.standard_normal((rows, size))
    found = divided(pair_of(tables, units, levels, features), rows)
    evidence = logsumexp(tables, axis=1)
    encoder = [elbo(f, t, units, levels) for f, t in zip(features, tables, strict=True)]
    members = np.array([best(t, units, levels) for t in tables])
    np.testing.assert_allclose(found.log_evidence.values, evidence, rtol=1e-9)
    np.testing.assert_allclose(found.elbo.values, encoder, rtol=1e-9)
    np.testing.assert_allclose(found.total.values, evidence - encoder, rtol=1e-8)
    np.testing.assert_allclose(found.amortization.values, members - encoder, atol=2e-4)
    np.testing.assert_allclose(found.approximation.values, evidence - members, atol=2e-4)
    sides = [e.side for e in (found.total, found.amortization, found.approximation)]
    assert sides == ["exact", "lower", "upper"]
    errors = [e.mc_error for e in (found.elbo, found.total, found.amortization)]
    assert errors == [0, 0, 0]
    assert found.converged.all()
    if units == 1:
        np.testing.assert_allclose(found.approximation.values, 0, atol=1e-9)


def test_units_that_are_independent_lose_nothing_to_the_family(float64):
    features = RANDOM.standard_normal((3, 6))
    tables = np.stack([products(f, 6, None) - 40 for f in features])
    found = divided(pair_of(tables, 6, None, np.zeros((3, 6))), 3)
    np.testing.assert_allclose(found.approximation.values, 0, atol=1e-8)
    np.testing.assert_allclose(found.amortization.values, found.total.values, atol=1e-8)
    own = divided(pair_of(tables, 6, None, features), 3)
    np.testing.assert_allclose(own.amortization.values, 0, atol=1e-8)


def test_a_guide_between_two_modes_is_left_for_one_of_them(float64):
    """Two bits that are equal: from the middle no unit gains by itself, and a mode has half of them."""
    table = np.log([[0.499, 0.001, 0.001, 0.499]])
    found = divided(pair_of(table, 2, None, np.zeros((1, 2))), 1)
    best_of_all = best(table[0], 2, None)
    assert best_of_all - elbo(np.zeros(2), table[0], 2, None) > 1
    assert found.amortization.value == pytest.approx(
        best_of_all - elbo(np.zeros(2), table[0], 2, None), abs=1e-4
    )


@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_float32_far_from_zero_and_outcomes_of_next_to_no_density(shift):
    tables = np.array([[0.1, -500.0, -2.0, 0.7], [-500.0, -500.0, -500.0, 0.3]]) + shift
    found = divided(pair_of(tables, 2, None, np.zeros((2, 2))), 2)
    reach = 4 * float(np.finfo(np.float32).eps) * (1 + abs(shift))
    np.testing.assert_allclose(found.log_evidence.values, logsumexp(tables, axis=1), atol=reach)
    low = best(tables[0], 2, None)
    assert found.approximation.values[0] == pytest.approx(
        logsumexp(tables[0]) - low, abs=1e-3 + reach
    )
    assert found.approximation.values[1] == pytest.approx(0, abs=1e-4 + reach)


@pytest.mark.parametrize("units", [11, 40])
def test_more_outcomes_than_are_summed_are_not_divided_and_it_says_why(units):
    features = np.zeros((2, units), np.float32)
    pair = pair_of(np.zeros((2, 2)), units, None, features)
    data = Datum(jnp.arange(2), index=np.arange(2))
    evidence, _ = audited_evidence(pair, data, key=KEY, num_particles=50)
    found = gaps(pair, data, evidence, key=KEY)
    assert found.amortization is None
    assert "at most 1,024 outcomes" in found.undivided
