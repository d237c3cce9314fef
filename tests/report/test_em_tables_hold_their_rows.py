"""The tables of `taut em` lie in the order of the source: each row with its own number and label."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import taut
from taut.report.em_tables import write_tables

X = np.random.default_rng(0).normal(size=(40, 2)) + 4 * (np.arange(40) % 2)[:, None]
KIND = np.arange(40) % 5


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> taut.Data:
    path = tmp_path_factory.mktemp("tables") / "rows.csv"
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": KIND}).write_csv(path)
    return taut.load_data(path, label="kind", dtype="float64")


def _tables(fit: taut.Fit, data: taut.Data, folder: Path) -> dict[str, dict[str, list]]:
    return {
        p.name: pl.read_csv(p).to_dict(as_series=False) for p in write_tables(fit, data, folder)
    }


def test_rows_labels_and_components_of_a_mixture(data, tmp_path):
    fit = taut.em(data, model=taut.GMM(components=2, covariance="diag"), max_iterations=3)
    tables = _tables(fit, data, tmp_path)
    rows = tables["responsibilities.csv"]
    assert rows["row"] == list(range(40))
    assert rows["label"] == KIND.tolist()
    wanted = np.asarray(fit.encode(X))  # from the array, not from the parts of the data
    found = np.stack([rows["r0"], rows["r1"]], axis=1)
    # Written with all digits; a row's own sum of two densities rounds in float64.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert rows["component"] == wanted.argmax(axis=1).tolist()
    assert len(set(rows["component"])) == 2
    parts = tables["components.csv"]
    share = np.asarray(fit.encode(data.train[:])).mean(axis=0)
    assert sum(parts["weight"]) == pytest.approx(1.0)
    # Weights after an M-step are the shares before it: near, and in the same order.
    assert np.argsort(parts["weight"]).tolist() == np.argsort(share).tolist()
    for k in range(2):
        own = X[np.asarray(rows["component"]) == k]
        mean = [parts["mean_a"][k], parts["mean_b"][k]]
        other = X[np.asarray(rows["component"]) != k].mean(axis=0)
        assert np.linalg.norm(mean - own.mean(axis=0)) < np.linalg.norm(mean - other)
        deviation = [parts["deviation_a"][k], parts["deviation_b"][k]]
        assert np.linalg.norm(deviation - own.std(axis=0)) < np.linalg.norm(
            deviation - X.std(axis=0)
        )


def test_loadings_and_the_selection_curve_of_a_factor_model(tmp_path):
    x = np.random.default_rng(1).normal(size=(40, 4)) * [1, 2, 3, 4]
    data = taut.load_data(x, dtype="float64")
    fit = taut.em(data, model=taut.PPCA(), components=[2, 1], max_iterations=5)
    tables = _tables(fit, data, tmp_path)
    loadings = tables["loadings.csv"]
    assert loadings["column"] == ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(loadings["mean"], data.train[:].x.mean(axis=0), atol=1e-12)
    factors = np.stack([v for n, v in loadings.items() if n.startswith("factor_")], axis=1)
    model = fit.model
    variance = np.sum(factors**2, axis=1) + np.asarray(loadings["noise_variance"])
    drawn = np.asarray(fit.sample(4000, key=1)).var(axis=0)
    assert np.argsort(drawn).tolist() == np.argsort(variance).tolist()
    assert factors.shape == model.loadings.shape  # pyright: ignore[reportAttributeAccessIssue]
    curve = tables["selection.csv"]
    assert fit.facts.em is not None
    points = fit.facts.em.selection
    assert curve["components"] == [p.components for p in points] == [2, 1]
    assert curve["validation log-evidence"] == [p.validation for p in points]
    assert curve["validation error"] == [p.validation_error for p in points]
    assert curve["training log-evidence"] == [p.training for p in points]
    assert curve["bic"] == [p.bic for p in points]
    assert curve["free parameters"] == [p.free_parameters for p in points]


def test_shares_of_categories_are_under_their_names(tmp_path):
    town = np.take(["Ulm", "Bonn", "Ulm", "Kiel"], np.arange(40) % 4)
    pl.DataFrame({"town": town, "sex": np.take(["F", "M"], np.arange(40) % 2)}).write_csv(
        tmp_path / "t.csv"
    )
    data = taut.load_data(tmp_path / "t.csv", dtype="float64")
    for model in (taut.LCA(components=1), taut.Mixed(components=1)):
        fit = taut.em(data, model=model, max_iterations=3)
        (parts,) = (pl.read_csv(p) for p in write_tables(fit, data, tmp_path) if "comp" in p.name)
        found = {name: parts[f"p(town={name})"].item() for name in ("Bonn", "Kiel", "Ulm")}
        x = np.asarray(data.train[:].x[:, 0])
        shares = [np.mean(x == code) for code in range(3)]
        # Pseudo-rows of the floor move a share by less than half of the least distance of two.
        np.testing.assert_allclose([*found.values()], shares, atol=0.05)
        assert "p(sex=M)" in parts.columns


@pytest.mark.parametrize("model", [taut.FA(), taut.GMM(components=2)])
def test_a_fit_and_the_run_that_holds_it_have_the_same_tables(data, model, tmp_path):
    fit = taut.em(data, model=model, components=[1], max_iterations=3, out=tmp_path / "run")
    loaded = taut.load(tmp_path / "run")
    assert isinstance(loaded, taut.Fit)
    made = {p.name: p.read_bytes() for p in write_tables(fit, data, tmp_path)}
    assert {p.name: p.read_bytes() for p in write_tables(loaded, data, tmp_path)} == made


def test_rows_in_the_order_of_the_parts_are_caught(data, tmp_path, monkeypatch):
    monkeypatch.setattr("taut.report.em_tables.np.argsort", lambda x, **_: np.arange(len(x)))
    with pytest.raises(AssertionError):
        test_rows_labels_and_components_of_a_mixture(data, tmp_path)
