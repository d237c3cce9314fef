"""Methods of a fit in Python know its data and the rows that it held out, as the command line does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taut
from taut.api.auditing import rows_of_fit
from taut.core import InputError

RNG = np.random.default_rng(0)
BITS = (RNG.random((60, 4)) < 0.4).astype(np.float32)
CHANGED = {
    "another order": BITS[::-1],
    "one cell": np.where(np.arange(60)[:, None] == 7, 1.0, BITS),
}


def _fit(source) -> taut.Fit:
    model = taut.VAE(latent_dim=1, hidden=(2,))
    return taut.fit(source, model=model, epochs=1, evidence_particles=4, progress=False)


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """One of a file, and one of an array."""
    file = tmp_path_factory.mktemp("data") / "bits.npy"
    np.save(file, BITS)
    return {"file": _fit(str(file)), "array": _fit(BITS), "path": file}


def _kept(fit: taut.Fit, changed: np.ndarray, file: Path, look) -> None:
    np.save(file, changed)
    try:
        look(fit)
    finally:
        np.save(file, BITS)


LOOKS = {
    "audit": lambda fit, *data: fit.audit(*data, rows=6),
    "fidelity": lambda fit, *data: fit.fidelity(*data, num_samples=10),
    "plot": lambda fit, *data: fit.plot.reconstructions(*data),
}


@pytest.mark.parametrize("changed", CHANGED)
@pytest.mark.parametrize("look", LOOKS)
def test_a_file_that_has_changed_is_not_looked_at(fits, look, changed):
    with pytest.raises(InputError, match=r"bits\.npy has changed since the fit\. Try"):
        _kept(fits["file"], CHANGED[changed], fits["path"], LOOKS[look])


def test_data_in_another_precision_are_told_so(fits):
    data = taut.load_data(str(fits["path"]), dtype="float64")
    with pytest.raises(InputError) as refused:
        fits["file"].plot.samples(data)
    assert str(refused.value).endswith(
        "expected the data in the precision of the fit, float32, got float64. Try "
        "taut.load_data(..., dtype='float32')."
    )


def test_a_file_that_has_not_changed_is_looked_at(fits):
    train, test = rows_of_fit(fits["file"], None, None, where="audit")
    np.testing.assert_array_equal(test.index, fits["file"].estimates["elbo"].index)
    for rows in (train, test):
        np.testing.assert_array_equal(rows.x, BITS[rows.index])


OTHER = {
    **LOOKS,
    "refit_prior": lambda fit, data: fit.refit_prior(data, prior="mixture:2", steps=2),
    "report": lambda fit, data: fit.report("never written.html", data=data),
}


@pytest.mark.parametrize("look", OTHER)
def test_rows_that_were_trained_on_are_not_called_held_out(fits, look):
    """Of binary rows no scale tells one split from another."""
    split = taut.load_data(BITS, seed=1)
    assert split.schema == fits["array"].schema
    with pytest.raises(InputError, match="held out") as refused:
        OTHER[look](fits["array"], split)
    assert "\n" not in str(refused.value)
    assert not Path("never written.html").exists()


NUMBERS = RNG.normal(5.0, 2.0, (60, 3)).astype(np.float32)
LEVELS = RNG.integers(0, 256, (60, 2, 2)).astype(np.uint8)
ON_DISK: dict[str, tuple[np.ndarray, dict[str, Any], dict[str, Any]]] = {
    "bits on disk": (BITS, {"stream": "yes"}, {}),
    "numbers on disk": (NUMBERS, {"stream": "yes"}, {}),
    "grey images drawn anew": (LEVELS, {"binarize": "dynamic"}, {}),
    "on disk, given in memory": (NUMBERS, {"stream": "yes"}, {"stream": "no"}),
    "in memory, given on disk": (NUMBERS, {"stream": "no"}, {"stream": "yes"}),
}


@pytest.mark.parametrize("case", ON_DISK)
def test_rows_are_known_again_in_another_split_that_loads_other_numbers(
    tmp_path, monkeypatch, case
):
    """Of training rows on disk a sample is known, and of grey ones that are drawn anew no draw."""
    monkeypatch.setattr("taut.data.checksum._SAMPLE", 20)
    rows, how, given = ON_DISK[case]
    np.save(tmp_path / "a.npy", rows)
    fit = _fit(taut.load_data(tmp_path / "a.npy", **how))
    train, test = rows_of_fit(fit, taut.load_data(tmp_path / "a.npy", **how), None, where="audit")
    assert train.index is not None
    assert test.index is not None
    assert not np.isin(test.index, train.index).any()
    splits: list[dict[str, Any]] = [{"seed": 1}, {"seed": 1, "split": (0.6, 0.2, 0.2)}]
    for split in splits:
        other = taut.load_data(tmp_path / "a.npy", **{**how, **given}, **split)
        for look in ("audit", "report"):
            with pytest.raises(InputError, match=r"held out.*got the same rows in another split"):
                OTHER[look](fit, other)


@pytest.mark.parametrize("how", ["static", "dynamic"])
@pytest.mark.parametrize("split", [{"seed": 1}, {"seed": 1, "split": (0.6, 0.2, 0.2)}])
def test_grey_rows_in_memory_are_known_again_whatever_was_drawn(tmp_path, how, split):
    """A split seed is that of the draws, too: no zeros and ones are the same in another."""
    fit = _fit(taut.load_data(LEVELS, binarize=how))
    fit.save(tmp_path / "run")
    for known in (fit, taut.load(tmp_path / "run")):
        rows_of_fit(known, taut.load_data(LEVELS, binarize=how), None, where="audit")
        rows_of_fit(known, taut.load_data(LEVELS[::-1], binarize=how, **split), None, where="audit")
        for form in (LEVELS, LEVELS / 255.0):
            other = taut.load_data(form, binarize=how, **split)
            for look in ("audit", "report"):
                with pytest.raises(
                    InputError, match=r"held out.*got the same rows in another split"
                ):
                    OTHER[look](known, other)


def test_other_rows_on_disk_are_looked_at(tmp_path):
    for name, rows in (("a", NUMBERS), ("b", NUMBERS[::-1] + 1)):
        np.save(tmp_path / f"{name}.npy", rows)
    fit = _fit(taut.load_data(tmp_path / "a.npy", stream="yes"))
    other = taut.load_data(tmp_path / "b.npy", stream="yes")
    train, test = rows_of_fit(fit, other, None, where="audit")
    np.testing.assert_array_equal(test.x, other.test.x)
    assert len(train.x) == 48
