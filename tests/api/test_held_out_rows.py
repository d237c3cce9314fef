"""`fit` and `em` hold out the same rows of one source, and rows that are held out train nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest

import taut
from taut.core import paired_difference
from taut.data import Data, StreamedRows, load_data
from taut.data import load as load_module

ROWS = np.random.default_rng(0).normal(5.0, 2.0, size=(120, 3))
SMALL: dict[str, Any] = {"epochs": 1, "evidence_particles": 2, "batch_size": 32}


def _fit(source: Any) -> taut.Fit:
    return taut.fit(source, model=taut.VAE(latent_dim=1, hidden=(2,)), **SMALL)


def _em(source: Any, *, online: bool = False) -> taut.Fit:
    return taut.em(source, model=taut.GMM(1, "diag"), restarts=1, batch_size=32, online=online)


def _npy(folder: Path) -> str:
    np.save(folder / "a.npy", ROWS)
    return str(folder / "a.npy")


def _npz(folder: Path) -> str:
    np.savez(folder / "a.npz", x=ROWS)
    return f"{folder / 'a.npz'}:x"


def _csv(folder: Path) -> str:
    pl.DataFrame(ROWS, schema=["a", "b", "c"]).write_csv(folder / "a.csv")
    return str(folder / "a.csv")


def _parquet(folder: Path) -> str:
    pl.DataFrame(ROWS, schema=["a", "b", "c"]).write_parquet(folder / "a.parquet")
    return str(folder / "a.parquet")


def _three(folder: Path) -> str:
    names = [str(folder / f"{name}.npy") for name in ("a", "b", "c")]
    for name, rows in zip(names, np.split(ROWS, [96, 108]), strict=True):
        np.save(name, rows)
    return ",".join(names)


def _frame(_: Path) -> Any:
    return pl.DataFrame(ROWS, schema=["a", "b", "c"])


SOURCES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "array": (lambda _: ROWS, "no"),
    "frame": (_frame, "no"),
    "npy": (_npy, "no"),
    "npy on disk": (_npy, "yes"),
    "npz": (_npz, "no"),
    "csv": (_csv, "no"),
    "parquet": (_parquet, "no"),
    "parquet on disk": (_parquet, "yes"),
    "three files": (_three, "no"),
}


@pytest.fixture
def loaded(monkeypatch) -> list[Data]:
    """All data that are loaded from here on."""
    made: list[Data] = []
    load = load_module.loaded

    def noted(source: Any, options: Any) -> Data:
        made.append(load(source, options))
        return made[-1]

    monkeypatch.setattr(load_module, "loaded", noted)
    return made


@pytest.mark.parametrize("kind", SOURCES)
def test_fit_and_em_hold_out_the_same_rows(tmp_path, loaded, kind):
    write, stream = SOURCES[kind]
    source = write(tmp_path)
    fitted = _fit(load_data(source, stream=stream))
    by_em = _em(source, online=stream == "yes")  # rows of which it leaves on disk where it can
    for_fit, for_em = loaded
    assert [data.options.stream for data in loaded] == [stream, stream]
    for name in ("validation", "test"):
        one, two = getattr(for_fit, name), getattr(for_em, name)
        np.testing.assert_array_equal(one.index, two.index)
        np.testing.assert_array_equal(one.x, two.x.astype(np.float32))
    np.testing.assert_array_equal(for_fit.train[:].index, for_em.train[:].index)
    np.testing.assert_allclose(for_fit.schema.shift, for_em.schema.shift, rtol=1e-6)
    for each, name in ((fitted, "elbo"), (by_em, "log_evidence")):
        np.testing.assert_array_equal(each.estimates[name].index, for_fit.test.index)


def test_a_streamed_fit_and_online_em_of_one_file_are_compared(tmp_path):
    path = _npy(tmp_path)
    fitted, by_em = _fit(load_data(path, stream="yes")), _em(path, online=True)
    one, two = by_em.estimates["log_evidence"], fitted.estimates["log_evidence"]
    assert one.values is not None
    assert two.values is not None
    difference = paired_difference(one, two)
    assert difference.count == 12
    assert difference.value == pytest.approx(np.mean(one.values - two.values))


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("kind", ["npy", "npy on disk"])
def test_held_out_rows_train_nothing(tmp_path, kind, online):
    """Other validation and test rows change no byte of the model."""
    _, stream = SOURCES[kind]
    np.save(tmp_path / "a.npy", ROWS)
    data = load_data(tmp_path / "a.npy", stream=stream, dtype=np.float64)
    other = ROWS.copy()
    held = np.concatenate([data.validation.index, data.test.index])
    other[held] = 40.0 - 3.0 * other[held]
    np.save(tmp_path / "b.npy", other)
    again = load_data(tmp_path / "b.npy", stream=stream, dtype=np.float64)
    one, two = (_em(d, online=online) for d in (data, again))
    for a, b in zip(*(jax.tree.leaves(fit.pair) for fit in (one, two)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert one.estimates["log_evidence"].value != two.estimates["log_evidence"].value
    baselines = [fit.estimates["independent_columns"].values for fit in (one, two)]
    assert not np.array_equal(*baselines)


@pytest.mark.parametrize("online", [False, True])
def test_em_over_rows_on_disk_is_em_over_the_same_rows_in_memory(tmp_path, online):
    data = load_data(_npy(tmp_path), stream="yes", dtype=np.float64)
    assert isinstance(data.train, StreamedRows)
    memory = (data.train[:].x, data.validation.x, data.test.x)
    on_disk, in_memory = (_em(source, online=online) for source in (data, memory))
    assert on_disk.facts.rows == in_memory.facts.rows
    for a, b in zip(on_disk.history, in_memory.history, strict=True):
        assert a["bound"] == pytest.approx(b["bound"], rel=1e-12)
    values = (fit.estimates["log_evidence"].values for fit in (on_disk, in_memory))
    np.testing.assert_allclose(*values, rtol=1e-9)
