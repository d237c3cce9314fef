"""Methods of a fit in Python know its data and the rows that it held out, as the command line does."""

from pathlib import Path

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
