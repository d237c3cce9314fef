"""`taut.em` and `taut em`: from data to a run folder that the other commands understand."""

import json

import numpy as np
import polars as pl
import pytest
from exact_fits import scipy_log_components, scipy_log_evidence, types_unchecked
from scipy.special import softmax

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.fitted.facts import RowCounts
from taut.models import GaussianMixture
from taut.recipe import component_range


@pytest.fixture
def table(clusters, tmp_path):
    path = tmp_path / "clusters.csv"
    pl.DataFrame(clusters, schema=["a", "b", "c"], orient="row").write_csv(path)
    return path


@pytest.fixture(scope="module")
def fit(clusters):
    return taut.em((clusters, clusters[::2], clusters[1::2]), model=taut.GMM(2), restarts=2)


def test_numbers_are_exact_and_in_order(fit, clusters, float64):
    model = fit.pair.model
    assert isinstance(model, GaussianMixture)
    estimate = fit.estimates["log_evidence"]
    assert estimate.side == "exact"
    assert estimate.mc_error == 0
    truth = scipy_log_evidence(model, clusters[1::2])
    np.testing.assert_allclose(estimate.values, truth, rtol=1e-10)
    assert estimate.value > fit.estimates["independent_columns"].value
    assert fit.history[-1]["bound"] == pytest.approx(
        scipy_log_evidence(model, clusters).mean(), rel=1e-10
    )
    mean, variance = clusters.mean(0), clusters.var(0)
    baseline = -0.5 * (np.log(2 * np.pi * variance) + (clusters[1::2] - mean) ** 2 / variance)
    # The baseline is a component with a floor worth one row of 1e-6 of the variance.
    assert fit.estimates["independent_columns"].value == pytest.approx(
        baseline.sum(1).mean(), abs=0.02
    )


def test_a_run_comes_back_and_does_what_a_fit_does(fit, clusters, tmp_path, float64):
    fit.save(tmp_path / "run")
    back = taut.load(tmp_path / "run")
    model = fit.pair.model
    r = softmax(np.asarray(model.log_pi) + scipy_log_components(model, clusters), axis=1)
    np.testing.assert_allclose(np.asarray(back.encode(clusters)), r, atol=1e-10)
    assert back.sample(5).shape == (5, 3)
    evidence = back.evaluate(clusters[:10], num_particles=2).log_evidence
    assert evidence.side == "exact"
    np.testing.assert_allclose(evidence.values, scipy_log_evidence(model, clusters[:10]), rtol=1e-9)


def test_a_range_is_chosen_from(answers):
    data, options = (answers, answers, answers), {"components": [1, 2], "restarts": 1}
    fit = taut.em(data, model=taut.LCA(), **options)
    curve = fit.facts.em.selection
    assert [point.components for point in curve] == [1, 2]
    best = max(curve, key=lambda point: point.validation)
    assert fit.facts.em.components == best.components
    fit = taut.em(data, model=taut.LCA(), select="bic", **options)
    points = fit.facts.em.selection
    expected = [
        -2 * 90 * p.training + (k - 1 + 4 * k) * np.log(90)
        for k, p in zip((1, 2), points, strict=True)
    ]
    np.testing.assert_allclose([p.bic for p in points], expected, rtol=1e-12)
    assert fit.facts.em.components == 1 + int(np.argmin(expected))


def test_online_from_a_file(clusters, tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, clusters)
    fit = taut.em(str(path), model=taut.PPCA(1), online=True, batch_size=30, out=tmp_path / "run")
    assert fit.facts.rows == RowCounts(train=72, validation=9, test=9)
    assert fit.facts.steps == 3  # of the training rows alone
    assert taut.load(tmp_path / "run").encode(clusters).shape == (90, 1)


def test_the_command_writes_tables_and_figures(table, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["em", str(table), "--components", "1-2", "--restarts", "1", "--covariance", "diag"]
    assert main([*command, "--out", str(run), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["estimates"]["log_evidence"]["side"] == "exact"
    for name in ("evidence.png", "selection.png"):
        assert (run / "figures" / name).read_bytes().startswith(b"\x89PNG")
    responsibilities = pl.read_csv(run / "responsibilities.csv")
    assert responsibilities["row"].to_list() == list(range(90))
    shares = responsibilities.select(pl.selectors.matches(r"^r\d+$")).to_numpy()
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-9)
    components = pl.read_csv(run / "components.csv")
    assert components["weight"].sum() == pytest.approx(1.0)
    assert {"mean_a", "deviation_c"} <= set(components.columns)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(len(lines)))
    with types_unchecked():  # the run's own options, `--model gmm` among them, name its data again
        assert main(["encode", str(run)]) == 0
        assert main(["evaluate", str(run), "--json"]) == 0
    assert main(["show", str(run), "--json"]) == 0
    capsys.readouterr()
    assert main([*command, "--out", str(run)]) == 2
    assert "one that holds a run" in capsys.readouterr().err


def test_loadings_as_a_table(table, tmp_path, capsys):
    run = tmp_path / "run"
    options = ["--model", "ppca", "--components", "1", "--closed-form", "--out", str(run), "--json"]
    assert main(["em", str(table), *options]) == 0
    loadings = pl.read_csv(run / "loadings.csv")
    assert loadings["column"].to_list() == ["a", "b", "c"]
    assert loadings.columns == ["column", "mean", "noise_variance", "factor_0"]


def test_ranges():
    assert component_range("3") == (3,)
    assert component_range("1-4") == (1, 2, 3, 4)
    assert component_range("2,4, 8") == (2, 4, 8)
    for text in ("", "a", "4-1", "1-"):
        if text == "1-":
            assert component_range(text) == (1,)
            continue
        with pytest.raises(InputError, match="a number, a range or a list"):
            component_range(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 91}, "at most 90 components, one a training row, got 91"),
        ({"components": []}, "components: expected one or more different numbers"),
        ({"floor": 1e-3, "reg_covar": 1e-3}, "reg_covar: expected a floor or a constant"),
        ({"closed_form": True}, 'closed_form: expected model="ppca"'),
        ({"restarts": 0}, "restarts: expected at least one start"),
        ({"max_iterations": 0}, "max_iterations: expected a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"tolerance": -1.0}, "tolerance: expected a number of at least 0, got -1"),
        ({"passes": 0.0}, "passes: expected a positive number, got 0"),
        ({"model": taut.LCA(2)}, "binary, grey, count or categorical cells, got real ones"),
        ({"model": taut.PPCA(3)}, "fewer factors than the 3 columns, got 3"),
    ],
)
def test_options_that_cannot_be_used(clusters, options, message):
    with pytest.raises(InputError, match=message):
        taut.em((clusters, clusters, clusters), **options)


def test_more_options_that_cannot_be_used(fit, clusters, answers, table, capsys):
    data = (clusters, clusters, clusters)
    with types_unchecked(), pytest.raises(InputError, match="select: expected evidence or bic"):
        taut.em(data, select="aic")  # type: ignore[arg-type]
    start = fit.pair.model
    with pytest.raises(InputError, match="start: expected a start with 3 components, got 2"):
        taut.em(data, model=taut.GMM(3), start=start)
    with pytest.raises(InputError, match="start: expected one number of components with a start"):
        taut.em(data, components=[2, 3], start=start)
    with pytest.raises(InputError, match="numbers, which a Gaussian is a density of, got binary"):
        taut.em((answers, answers, answers))
    with pytest.raises(InputError, match="covariance: expected one of full, tied"):
        taut.GMM(2, covariance="round")
    with pytest.raises(InputError, match="components: expected at least one component"):
        taut.FA(0)
    with pytest.raises(InputError, match="levels: expected at least two levels"):
        taut.LCA(2, levels=1)
    counts = np.arange(20).reshape(10, 2) % 5
    with pytest.raises(InputError, match=r"values 0\.\.1, got 4"):
        taut.em((counts, counts, counts), model=taut.LCA(2, levels=2))
    for options in (["--model", "lca", "--covariance", "full"], ["--passes", "2"]):
        assert main(["em", str(table), *options]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("taut: covariance: expected --covariance with --model gmm")
    assert errors[1].startswith("taut: passes: expected --passes with --inference online-em")
