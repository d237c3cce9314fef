"""`SemiSupervisedClassifier`, its fit, and the run that is saved of it give the same probabilities."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.sklearn import VAE, SemiSupervisedClassifier

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 3, 160)
X = RNG.normal(size=(160, 5)) + 1.2 * np.eye(5)[CODES]
Y = np.where(RNG.random(160) < 0.4, CODES, -1)
NEW = np.where(RNG.random((12, 5)) < 0.1, np.nan, RNG.normal(size=(12, 5)))


@pytest.mark.parametrize("method", ["m2", "m1+m2", "masked"])
def test_they_do(method, tmp_path):
    vae = VAE(2, hidden=(8,), max_epochs=4)
    model = SemiSupervisedClassifier(vae, method=method, random_state=0).fit(X, Y)
    wanted = model.predict_proba(NEW)
    fit: Any = model.fit_
    frame = pl.DataFrame({f"x{i}": column for i, column in enumerate(NEW.T)}, nan_to_null=True)
    frame.write_csv(tmp_path / "new.csv")
    fit.save(tmp_path / "run")
    loaded: Any = taut.load(tmp_path / "run")
    for own in (fit, loaded):
        for rows in (NEW, frame):
            np.testing.assert_array_equal(own.predict(rows).probabilities, wanted)
    np.testing.assert_array_equal(model.predict(NEW), wanted.argmax(axis=1))
    out = tmp_path / "out.csv"
    words = ["predict", str(tmp_path / "run"), str(tmp_path / "new.csv"), "--out", str(out)]
    assert main(words) == 0
    told = pl.read_csv(out)
    found = np.stack([told[name] for name in told.columns if "0000" in name], axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_rows_without_a_column_of_the_target_may_be_one_alone():
    model = SemiSupervisedClassifier(VAE(2, hidden=(8,), max_epochs=1), method="masked").fit(X, Y)
    fit: Any = model.fit_
    alone = fit.predict(X[0]).probabilities
    np.testing.assert_array_equal(alone, fit.predict(X[:1]).probabilities)
    with pytest.raises(taut.InputError, match=r"one row of shape \(6,\) or many"):
        fit.predict(X[:, :4])
