"""Fits of files that stay on disk, and what cannot be had of them."""

from dataclasses import dataclass
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import taut
from taut.api.auditing import audit
from taut.cli.rows import rows_of
from taut.core import InputError
from taut.data import StreamedRows, load_data
from taut.fitted import Fit
from taut.fitted.facts import FitFacts, RowCounts
from taut.inference.amortized.check import check_rows
from taut.recipe import Recipe

ROWS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)


def test_a_streamed_fit_says_so_and_is_measured_on_rows_it_has_not_seen(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    data = load_data(tmp_path / "a.npy", stream="yes")
    fitted = taut.fit(
        data,
        model=taut.VAE(latent_dim=1, hidden=(4,)),
        epochs=2,
        evidence_particles=2,
        batch_size=60,
    )
    assert fitted.recipe.data.stream == "yes"
    assert fitted.facts.notes[0].startswith("240 training rows are streamed from disk; 30 valid")
    assert set(fitted.estimates["elbo"].index) == set(data.test.index)
    # The baseline of standard normal columns: -3 (log(2 pi) + 1) / 2 up to sampling of 30 rows.
    baseline = fitted.estimates["independent_columns"]
    expected = -1.5 * (np.log(2 * np.pi) + 1)
    assert abs(baseline.value - expected) < 5 * baseline.data_error


@dataclass(frozen=True)
class Seen:
    """An audit, as far as what was looked at."""

    column: np.ndarray
    notes: tuple[str, ...] = ("one of the audit",)


def test_training_rows_that_stand_for_those_on_disk_come_from_all_over_a_sorted_file(
    tmp_path, monkeypatch
):
    x = np.concatenate([np.arange(300, dtype=np.float32)[:, None], ROWS[:, :2]], axis=1)
    data = load_data(_saved(tmp_path, x), stream="yes")
    facts = FitFacts(RowCounts(240, 30, 30), 1, 1, 0.0, 0.0, "CPU")
    architecture, _ = taut.VAE(latent_dim=1, hidden=(4,)).resolved(data.schema)
    pair = architecture.init(data.schema, jax.random.key(0))
    fitted = Fit(pair, architecture, data.schema, facts)
    monkeypatch.setattr(
        "taut.audit.audit_fit", lambda _, train, *__, **___: Seen(np.asarray(train.x)[:, 0])
    )
    monkeypatch.setattr("taut.api.auditing._MOST_READ", 40)
    found = audit(fitted, data)
    assert len(set(found.column)) == 40
    assert set(found.column) <= set(data.train[:].x[:, 0])
    assert found.column.min() < 60 < 240 < found.column.max()
    own, said = found.notes
    assert own == "one of the audit"
    assert said.startswith("40 of 240 training rows, drawn at random, stand for all")
    monkeypatch.setattr("taut.api.auditing._MOST_READ", 240)
    whole = audit(fitted, data)
    assert whole.notes == ("one of the audit",)
    np.testing.assert_array_equal(whole.column, data.train[:].x[:, 0])


def test_values_without_a_density_are_named_by_their_row_in_the_file(tmp_path):
    x = np.random.default_rng(0).random((300, 3)) * 0.5
    data = load_data(_saved(tmp_path, x), stream="yes", support="unit")
    assert isinstance(data.train, StreamedRows)
    row = int(data.train[:].index[200])
    architecture, _ = taut.VAE(likelihood="bernoulli").resolved(data.schema)
    x[row - 40 :, :] = x[row - 40 :, :] > 0.25
    binary = x.copy()
    binary[: row - 40] = x[: row - 40] > 0.25
    binary[row, 1] = 0.5
    data = load_data(_saved(tmp_path, binary), stream="yes", support="unit")
    with pytest.raises(InputError, match=rf"a, training rows, row {row}, cell 1: .*got 0\.5"):
        check_rows(architecture, data.train, where="a, training rows")
    binary[row, 1] = 1.0
    data = load_data(_saved(tmp_path, binary), stream="yes")
    check_rows(architecture, data.train, where="a, training rows")


def test_training_rows_on_disk_are_not_evaluated_and_a_run_finds_its_rows_again(tmp_path):
    path = str(_saved(tmp_path, ROWS))
    data = load_data(path, stream="yes")
    facts = SimpleNamespace(checksum=data.checksum)
    run = SimpleNamespace(schema=data.schema, recipe=Recipe(data=data.options), facts=facts)
    np.testing.assert_array_equal(rows_of(run, data=None, split=None).index, data.test.index)
    with pytest.raises(InputError, match="split: expected rows in memory, got 240 training rows"):
        rows_of(run, data=None, split="train")
    memory = load_data(path, stream="no")
    facts = SimpleNamespace(checksum=memory.checksum)
    run = SimpleNamespace(schema=memory.schema, recipe=Recipe(data=memory.options), facts=facts)
    np.testing.assert_array_equal(rows_of(run, data=None, split=None).index, memory.test.index)


def _saved(folder, rows):
    np.save(folder / "a.npy", rows)
    return folder / "a.npy"
