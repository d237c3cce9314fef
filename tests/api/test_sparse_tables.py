"""Sparse tables of counts: fitted, measured, encoded and shown as the dense table they stand for."""

import json

import numpy as np
import pytest
import scipy.sparse

import taut
from taut.api import preparing
from taut.cli.main import main
from taut.data import Dataset, load_data, load_rows, slabs
from taut.data.sparse_rows import SparseRows

COUNTS = np.random.default_rng(1).poisson(1.5, size=(60, 5)) * np.array([1, 2, 0, 1, 3])
MATRIX = scipy.sparse.csr_array(COUNTS)
SIZES = {"epochs": 2, "batch_size": 16, "evidence_particles": 16}
GIVEN = {"likelihood": "negative-binomial", "likelihood_options": {"library": True}}


@pytest.fixture(scope="module")
def fits():
    """Of the sparse table, by its own likelihood, and of the dense one, both in chunks."""
    patch = pytest.MonkeyPatch()
    patch.setattr(preparing, "_MANY_SPARSE_BYTES", 0)
    patch.setattr(preparing, "_MANY_BYTES", 0)
    sparse = taut.fit(MATRIX, model=taut.VAE(latent_dim=2, hidden=(4,)), **SIZES)
    table = COUNTS.astype(np.uint8)
    dense = taut.fit(table, model=taut.VAE(latent_dim=2, hidden=(4,), **GIVEN), **SIZES)
    patch.undo()
    return sparse, dense


def test_a_sparse_table_is_fitted_as_the_dense_one_is(fits):
    sparse, dense = fits
    assert sparse.architecture == dense.architecture
    assert (
        "each row's total is given and its shares are modelled"
        in sparse.facts.reasons["likelihood"]
    )
    assert sparse.facts.checksum == dense.facts.checksum
    for name, estimate in dense.estimates.items():
        assert sparse.estimates[name].value == estimate.value, name
        np.testing.assert_array_equal(sparse.estimates[name].values, estimate.values)


def test_a_wish_for_the_likelihood_is_obeyed():
    schema = load_data(MATRIX).schema
    for wish, library in (({}, True), ({"likelihood_options": {"library": False}}, False)):
        chosen, reasons = taut.VAE(**wish).resolved(schema)
        assert chosen.make_likelihood(schema).options()["library"] is library
        assert ("total is given" in reasons["likelihood"]) is library
    named, _ = taut.VAE(likelihood="negative-binomial").resolved(schema)
    assert not named.make_likelihood(schema).options()["library"]


def test_rows_are_measured_and_encoded_without_a_dense_copy(fits, monkeypatch):
    fit, dense = fits
    rows, table = load_rows(MATRIX[:6], fit.schema), COUNTS[:6]
    monkeypatch.setattr(slabs, "_CELLS", 10)
    monkeypatch.setattr(SparseRows, "__array__", None)
    found = fit.evaluate(rows, num_particles=16)
    np.testing.assert_array_equal(
        found.log_evidence.values, dense.evaluate(table, num_particles=16).log_evidence.values
    )
    monkeypatch.setattr(
        Dataset, "x", property(lambda part: part.cells[:] if len(part) < 3 else None)
    )
    np.testing.assert_allclose(fit.encode(rows), dense.encode(table), rtol=1e-6)


def test_a_sparse_file_is_shown(tmp_path, capsys):
    scipy.sparse.save_npz(tmp_path / "a.npz", MATRIX)
    assert main(["show", str(tmp_path / "a.npz"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["rows"], shown["columns"], shown["values"]) == (60, 5, "count")
    assert shown["stored"] == MATRIX.nnz
    totals = COUNTS.sum(axis=1)
    assert shown["row_totals"]["least"] == totals.min()
    assert shown["row_totals"]["largest"] == totals.max()
    assert main(["show", str(tmp_path / "a.npz")]) == 0
    assert f"{MATRIX.nnz} of 300 cells" in capsys.readouterr().out
