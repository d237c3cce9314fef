"""The conditional distribution of a cell, and its quantiles, are those of the model's log-density."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.core import Datum
from taut.data import load_data
from taut.fitted.cell_quantiles import cell_quantiles
from taut.models import ColumnMixture

RNG = np.random.default_rng(3)
N = 120
A = RNG.normal(size=N)
MIXED = pl.DataFrame(
    {
        "number": A * 2 + 7.25,
        "positive": np.exp(0.5 * A + RNG.normal(size=N) / 3),
        "count": RNG.poisson(np.exp(1 + A / 2)),
        "spiked": np.where(RNG.random(N) < 0.4, 0.0, np.round(A * 3 + RNG.normal(size=N), 2)),
        "word": np.where(A + RNG.normal(size=N) > 0, "u", "v"),
    }
)
GAUSSIAN = np.stack([A, np.full(N, 4.0), A + RNG.normal(size=N), RNG.normal(size=N) - A], axis=1)
CODES = RNG.poisson(np.exp(0.7 + A[:, None] / 2), (N, 3))
LEVELS = (0.05, 0.3, 0.5, 0.95)
ROUNDING = 1e-12  # of a probability that is worked out in another order
CASES: dict[str, tuple[Any, dict[str, Any], tuple[int, ...]]] = {
    "gmm": (GAUSSIAN, {"components": 2}, (0, 2, 3)),
    "fa": (GAUSSIAN, {"components": 1, "max_iterations": 5}, (0, 2)),
    "lca": (CODES, {"components": 2}, (0, 1)),
    "mixed": (MIXED, {"components": 2}, (0, 1, 2, 3)),
}
WHOLE = {"lca": (0, 1, 2), "mixed": (2,)}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    source, options, places = CASES[request.param]
    data = load_data(source, columns="auto" if request.param == "mixed" else "alike")
    fitted = taut.em(data, model=request.param, restarts=1, key=0, **options)
    return fitted, np.asarray(data.test.x[:4], np.float64), places, WHOLE.get(request.param, ())


def without(x: np.ndarray, place: int) -> Datum:
    """Rows without a cell, the first also without another."""
    x = np.array(x)
    x[:, place] = np.nan
    x[0, (place + 1) % x.shape[1]] = np.nan
    return Datum(x, ~np.isnan(x))


@eqx.filter_jit
def _at(model: Any, row: Datum, place: int, v: Any) -> Any:
    return model.cumulative(row, place)(v)


def cumulative(fitted: Any, row: Datum, place: int, v: float) -> float:
    return float(_at(fitted.model, row, place, jnp.asarray(v)))


def below(fitted: Any, row: Datum, place: int, v: float, *, whole: bool) -> float:
    """P(x_d <= v | x_o) from log-densities: a sum, or Gauss and Legendre's rule on short pieces."""
    if whole:
        at, weight = np.arange(np.floor(v) + 1), np.ones(int(np.floor(v)) + 1)
    else:
        given = fitted.model.given(row)
        spread = float(given.deviation.reshape(-1)[place])
        start = float(given.mean.reshape(-1)[place]) - 25 * spread
        # An atom stands for a cell as wide as its column's step, whose ends are edges, too.
        form = fitted.model.forms[place] if isinstance(fitted.model, ColumnMixture) else None
        atoms = [] if form is None else [a + s * form.step / 2 for a in form.atoms for s in (-1, 1)]
        edges = np.union1d(np.linspace(start, v, 4001), atoms)
        edges = edges[edges <= v]
        nodes, weights = np.polynomial.legendre.leggauss(8)
        half = np.diff(edges)[:, None] / 2
        at = (edges[:-1, None] + half * (nodes + 1)).ravel()
        weight = (half * weights).ravel()
    x = np.repeat(np.asarray(row.x)[None], len(at), axis=0)
    x[:, place] = at
    rows = Datum(jnp.asarray(x), jnp.asarray(~np.isnan(x)))
    joint = np.asarray(jax.jit(jax.vmap(fitted.model.log_evidence))(rows))
    return float(np.exp(joint - float(fitted.model.log_evidence(row))) @ weight)


@pytest.mark.usefixtures("float64")
def test_the_distribution_is_the_integral_of_the_density(case):
    fitted, x, places, whole = case
    for place in places:
        rows = without(x, place)
        for i in (0, 1):
            row = jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), rows)
            for v in (0.37, 2.0 if place in whole else 1.773):
                wanted = below(fitted, row, place, v, whole=place in whole)
                np.testing.assert_allclose(cumulative(fitted, row, place, v), wanted, atol=1e-9)


@pytest.mark.usefixtures("float64")
def test_a_quantile_is_the_least_value_that_reaches_its_level(case):
    fitted, x, places, whole = case
    met = set()
    for place in places:
        rows = without(x, place)
        found = cell_quantiles(fitted.model, rows, place, LEVELS)
        assert found.shape == (len(LEVELS), len(x))
        for i in range(len(x)):
            row = jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), rows)
            for p, q in zip(LEVELS, found[:, i], strict=True):
                assert cumulative(fitted, row, place, q) >= p - ROUNDING
                # Numbers that are not normal are zeros to XLA.
                less = np.nextafter(q, -np.inf) if q else -1e-300
                assert cumulative(fitted, row, place, less) < p + ROUNDING
        if place in whole:
            np.testing.assert_array_equal(found, np.rint(found))
        met |= set(found.ravel().tolist())
    assert "spiked" not in (fitted.schema.columns or ()) or 0.0 in met


def test_intervals_of_an_exact_model_do_not_depend_on_the_key():
    data = load_data(MIXED, target="number", target_as="column", columns="auto")
    fitted: Any = taut.em(data, model="mixed", components=2, restarts=1)
    found, again = (fitted.predict(MIXED[:20], key=key) for key in (0, 1))
    for name in ("low", "high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()
