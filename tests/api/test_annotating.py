"""AnnData in and out: an object with its parts is fitted, and told what the fit says of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import taut
from taut.data import load_data, load_rows

COUNTS = (
    np.random.default_rng(2).poisson([[0.3, 2, 5]] * 60 + [[4, 0.2, 1]] * 60).astype(np.float32)
)
GENES = ["a", "b", "c"]
KINDS = np.repeat(["T", "B"], 60)


class Cells(SimpleNamespace):
    """The parts of an AnnData that are looked at."""

    @property
    def var_names(self):
        return self.var.index


def cells_of(counts: Any, order: Any = (0, 1, 2)) -> Any:
    order = list(order)
    obs = pd.DataFrame({"kind": pd.Categorical(KINDS), "day": np.arange(120) % 4})
    var = pd.DataFrame(index=[GENES[i] for i in order])
    matrix = scipy.sparse.csr_array(counts[:, order])
    return Cells(X=matrix, obs=obs, var=var, obsm={}, uns={})


@pytest.fixture(scope="module")
def fitted():
    return taut.fit(cells_of(COUNTS), latent_dim=2, hidden=(8,), epochs=2, evidence_particles=10)


def test_its_matrix_is_the_table_and_an_observation_the_label():
    found, dense = load_data(cells_of(COUNTS), label="kind"), load_data(COUNTS.astype(int))
    assert found.schema.sparse
    assert found.schema.columns == tuple(GENES)
    np.testing.assert_array_equal(found.train[:].x, dense.train[:].x)
    rows = load_rows(cells_of(COUNTS), found.schema)
    assert rows.label is not None
    assert found.schema.label_name == "kind"
    cells = cells_of(COUNTS)
    cells.X = None
    with pytest.raises(taut.InputError, match="AnnData: expected a matrix in X, got none"):
        load_data(cells)
    with pytest.raises(taut.InputError, match="a label among day, kind, got 'knid'"):
        load_data(cells_of(COUNTS), label="knid")


def test_labels_are_numbers_or_text_whatever_is_missing():
    cells = cells_of(COUNTS)
    cells.obs["day"] = pd.array([None, *range(119)], dtype="Int64")
    cells.obs.loc[:1, "kind"] = np.nan
    for name, number, known in (("day", 119, set(range(119))), ("kind", 118, {0, 1})):
        with pytest.raises(taut.InputError, match="a label for every row"):
            load_data(cells, label=name)
        parts = load_data(cells, label=name, missing="drop-rows").parts().values()
        labels = np.concatenate([part.label for part in parts])
        assert len(labels) == number
        assert set(labels) == known


def test_latents_and_evidence_stand_beside_their_own_observations(fitted):
    """Variables are found by name, in whatever order they stand."""
    cells = cells_of(COUNTS, order=(2, 0, 1))
    fitted.annotate(cells, num_particles=10, key=3)
    rows = load_rows(cells_of(COUNTS), fitted.schema)
    np.testing.assert_array_equal(cells.obsm["X_taut"], fitted.encode(rows))
    evidence = fitted.evidence(rows, num_particles=10, key=3)
    np.testing.assert_array_equal(cells.obs["taut_log_evidence"], evidence.values)
    assert cells.uns["taut"]["log_evidence_side"] == "lower"
    assert list(cells.obs.columns) == ["kind", "day", "taut_log_evidence"]


def test_a_mixture_says_which_component_each_is_of():
    x = np.log1p(COUNTS) + 0.1 * np.random.default_rng(3).normal(size=COUNTS.shape)
    cells = cells_of(COUNTS)
    cells.X = x
    fit = taut.em(cells, model="gmm", components=2, key=0)
    fit.annotate(cells, name="two")
    clusters = cells.obs["two_cluster"]
    assert list(clusters.cat.categories) == ["0", "1"]
    same = (clusters == clusters[0]) == (KINDS[0] == KINDS)
    assert same.mean() > 0.9
    assert cells.uns["two"]["log_evidence_side"] == "exact"


def test_what_is_no_anndata_or_lacks_a_variable_is_left_as_it_was(fitted):
    with pytest.raises(
        taut.InputError, match="expected an AnnData, with X, obs, var and obsm, got a ndarray"
    ):
        fitted.annotate(COUNTS)
    cells = cells_of(COUNTS, order=(0, 1))
    with pytest.raises(taut.InputError, match="'c'"):
        fitted.annotate(cells)
    assert cells.obsm == cells.uns == {}


def test_codes_of_missing_cells_are_those_of_the_fit():
    coded = COUNTS.copy()
    coded[::9, 1] = 999
    fitted = taut.em(load_data(cells_of(coded), missing_codes=999), model="gmm", components=1)
    cells = cells_of(coded)
    fitted.annotate(cells)
    wanted = fitted.evidence(np.where(coded == 999, np.nan, coded)).values
    np.testing.assert_allclose(cells.obs["taut_log_evidence"], wanted, rtol=1e-5)


def test_a_label_that_the_fit_has_not_seen_is_not_looked_at():
    data = load_data(cells_of(COUNTS), label="kind")
    found = taut.fit(data, latent_dim=2, hidden=(8,), epochs=1, evidence_particles=10)
    known, odd = cells_of(COUNTS), cells_of(COUNTS)
    odd.obs["kind"] = ["NK", *KINDS[1:]]
    for cells in (known, odd):
        found.annotate(cells, name="own")
    np.testing.assert_array_equal(known.obsm["X_own"], odd.obsm["X_own"])
