"""One model has one evidence claim, whichever door fitted it."""

import io
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import taut
from taut.architectures import ARCHITECTURES
from taut.cli.evaluate import as_json
from taut.core import Datum, InputError
from taut.evidence.closed_form import closed_form
from taut.evidence.exact_columns import exact_columns
from taut.guides import ExactPair
from taut.models import AbstractExactModel
from taut.report import tables

EPS = float(np.finfo(np.float64).eps)


def _table(name: str) -> np.ndarray:
    """Forty rows that the architecture takes: classes of answers, or correlated numbers."""
    generator = np.random.default_rng(4)
    group = generator.random((40, 1)) < 0.5
    if name == "lca":
        return (generator.random((40, 3)) < np.where(group, 0.9, 0.2)).astype(float)
    return generator.normal(size=(40, 3)) + 3.0 * group


def _exact_names() -> list[str]:
    """Architectures whose model has its evidence in closed form."""
    found = []
    for name, architecture in ARCHITECTURES.items():
        data = taut.load_data(_table(name), dtype=np.float64)
        try:
            resolved, _ = architecture().resolved(data.schema)
            pair = jax.eval_shape(lambda a=resolved, d=data: a.init(d.schema, jax.random.key(0)))
        except InputError:
            continue
        if isinstance(pair, ExactPair) and isinstance(pair.model, AbstractExactModel):
            found.append(name)
    return found


EXACT = _exact_names()


def test_the_exact_architectures_are_found():
    assert {"ppca", "fa", "gmm", "lca", "mixed"} <= set(EXACT)


def test_an_exact_evidence_has_no_draws():
    """In Python, in JSON and in a table: what is not drawn has neither a number nor an effective one."""
    fitted = taut.em(_table("ppca"), model=taut.PPCA(components=1))
    found = fitted.evaluate(_table("ppca"), num_particles=7)
    content = as_json(found)
    assert (found.num_particles, found.ess) == (None, None)
    assert (content["num_particles"], content["ess"]) == (None, None)
    said = io.StringIO()
    tables.evidence_table(Console(file=said, width=200), {"importance": found})
    told = dict(re.findall(r"^(\S.*?)  +(\S.*?) *$", said.getvalue(), re.MULTILINE))
    assert told["draws per row, K"] == "none at random"
    assert told["ESS, median of rows"] == told["ESS, least of rows"] == "-"


@pytest.fixture(params=EXACT)
def doors(request):
    """One architecture fitted to the same rows by gradients and by EM, with the rows."""
    data = taut.load_data(_table(request.param), dtype=np.float64)
    model = replace(ARCHITECTURES[request.param](), components=2)
    climbed = taut.fit(data, model=model, evidence_particles=5, precision="float64")
    by_em = taut.em(data, model=model, restarts=1, max_iterations=2, tolerance=0.0)
    return data, climbed, by_em


def test_both_doors_and_evaluate_claim_what_the_model_says(doors):
    data, *fits = doors
    for fitted in fits:
        assert set(fitted.estimates) == {"log_evidence", "independent_columns"}
        model = fitted.pair.model
        with jax.enable_x64(True):
            truth = np.asarray([model.log_evidence(Datum(jnp.asarray(row))) for row in data.test.x])
        claims = [fitted.estimates["log_evidence"], fitted.evidence(data.test, num_particles=2)]
        claims.append(fitted.evaluate(data.test, num_particles=2).log_evidence)
        for claim in claims:
            assert claim.side == "exact"
            assert claim.mc_error == 0
            assert not claim.flags
            np.testing.assert_array_equal(claim.index, data.test.index)
            # Sums over 3 columns and 2 components, of terms of a few nats.
            np.testing.assert_allclose(claim.values, truth, atol=1000 * EPS)
        assert fitted.facts.particles is None
    naive = fits[0].evaluate(data.test, num_particles=20, method="monte-carlo").log_evidence
    assert naive.side == "lower"
    assert naive.mc_error != 0  # unknown, of so few draws


def test_both_doors_have_one_baseline(doors):
    _, climbed, by_em = doors
    first, second = (f.estimates["independent_columns"] for f in (climbed, by_em))
    assert first.side == second.side == "exact"
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.index, second.index)


@pytest.mark.parametrize("name", EXACT)
def test_the_baseline_is_one_component_with_independent_columns(name):
    """By EM itself, which has its maximum after one M-step."""
    table = _table(name)
    table[:, 2] = table[0, 2]  # a constant column
    alone = {"lca": taut.LCA(1), "mixed": taut.Mixed(1)}
    one = alone.get(name, taut.GMM(1, "diag"))
    fitted = taut.em(taut.load_data(table, dtype=np.float64), model=one, max_iterations=3)
    ours, em = fitted.estimates["independent_columns"], fitted.estimates["log_evidence"]
    # Variances of a millionth of the data's amplify rounding by its square root.
    np.testing.assert_allclose(ours.values, em.values, atol=1e6 * EPS)


def test_hidden_cells_count_in_neither():
    table = _table("ppca")
    data = taut.load_data(table, dtype=np.float64)
    fitted = taut.em(data, model=taut.PPCA(1))
    mask = np.ones_like(data.test.x, bool)
    mask[:, 0] = False
    hidden = data.test.x.copy()
    hidden[:, 0] = 1e6
    model = fitted.pair.model
    with jax.enable_x64(True):
        for measured in (
            lambda x: closed_form(model, Datum(x, mask)),
            lambda x: exact_columns(model, data.train.x, Datum(x, mask)),
        ):
            found, other = measured(data.test.x), measured(hidden)
            np.testing.assert_array_equal(found.values, other.values)


def test_equal_rows_have_no_baseline():
    model = taut.em(_table("ppca"), model=taut.PPCA(1)).pair.model
    rows = np.ones((4, 3))
    with pytest.raises(InputError, match=r"^columns alone: expected rows that differ, got 4 ident"):
        exact_columns(model, rows, Datum(rows))
