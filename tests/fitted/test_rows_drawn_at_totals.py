"""Counts that are given the totals of their rows are drawn at totals like those of the training rows."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.counterfactuals.generator import as_generator
from taut.fitted.row_totals import total_quantiles
from taut.report.words import fact_words

KINDS = ("poisson", "negative-binomial", "zero-inflated-poisson")
TOTALS = np.repeat([40, 400, 4000], 70)
_RNG = np.random.default_rng(0)
X = _RNG.multinomial(TOTALS, _RNG.dirichlet([2.0] * 6, 210))
FRAME = pl.DataFrame(dict(zip("abcdef", X.T, strict=True)))
OPTIONS = {
    "latent_dim": 2,
    "hidden": (8,),
    "epochs": 2,
    "evidence_particles": 10,
    "columns": "alike",
}


def _fitted(**options):
    likelihood = {"likelihood": "poisson", "library": True, **options}
    return taut.fit(FRAME, **OPTIONS, **likelihood)


@pytest.fixture(scope="module")
def fit():
    return _fitted()


def test_the_fit_holds_the_quantiles_of_the_totals_of_training_rows(fit):
    rows: Any = taut.load_data(FRAME, columns="alike").train
    wanted = np.quantile(np.asarray(rows.x).sum(axis=1), np.linspace(0, 1, 101))
    np.testing.assert_array_equal(fit.facts.totals, wanted)


@pytest.mark.parametrize("mean", [False, True])
def test_draws_have_totals_like_these(fit, mean):
    """A third of the rows is near each of three totals; without spread where means are drawn."""
    totals = np.asarray(fit.sample(3000, mean=mean, key=1)).sum(axis=1)
    for low, high in ((0, 100), (250, 600), (3500, 4500)):
        share = np.mean((totals > low) & (totals < high))
        assert abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / 3000) + 0.02  # two steps of the quantiles
    if mean:
        allowed = np.isclose(totals[:, None], [40, 400, 4000], rtol=1e-4).any(axis=1)
        assert allowed.mean() > 1 - 0.02 - 5 * np.sqrt(
            0.02 / 3000
        )  # the rest is between two of them


@pytest.mark.parametrize("kind", KINDS)
def test_one_total_for_all_rows_is_obeyed_where_it_was_named(kind):
    fit = _fitted(likelihood=kind, library_size=700.0)
    means = np.asarray(fit.sample(20, mean=True))
    if kind != "zero-inflated-poisson":  # whose extra zeros are lost to it
        np.testing.assert_allclose(means.sum(axis=1), 700, rtol=1e-4)
    assert (means.sum(axis=1) < 701).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_drawn_from_the_law_by_which_a_row_of_that_total_is_judged(kind):
    """Of zero-inflated counts the total is that before the extra zeros, which come off it."""
    model: Any = _fitted(likelihood=kind).model
    z, row = jnp.array([0.5, -1.0]), jnp.array([7.0, 0, 12, 3, 0, 5])
    outputs = model.outputs(z)
    judged = model.likelihood.given(outputs, row)
    drawn = model.at_total(row.sum()).likelihood(outputs)
    cells = jnp.arange(9.0)[:, None] * jnp.ones(6)
    np.testing.assert_allclose(drawn.log_prob(cells), judged.log_prob(cells), rtol=1e-4)
    kept = 1 - jax.nn.sigmoid(outputs[-1]) if kind.startswith("zero") else 1.0
    share = jax.nn.softmax(outputs[0])
    np.testing.assert_allclose(drawn.mean, kept * share * row.sum(), rtol=1e-4)


def test_a_note_says_that_extra_zeros_come_off_the_total(tmp_path, capsys):
    for name, options in (("named", {"library_size": 700.0}), ("own", {})):
        for kind, told in (("poisson", False), ("zero-inflated-poisson", True)):
            run = _fitted(likelihood=kind, **options).save(tmp_path / f"{name}-{kind}")
            assert main(["sample", str(run), "-n", "2", "--out", str(tmp_path / "x.csv")]) == 0
            said = capsys.readouterr().err
            assert ("; extra zeros take from the total" in said) == told


def test_a_run_saved_keeps_them_and_an_older_one_has_ten_thousand(fit, tmp_path):
    fit.save(tmp_path / "run")
    loaded = taut.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.sample(5, key=3), fit.sample(5, key=3))
    older = replace(fit, facts=replace(fit.facts, totals=()))
    np.testing.assert_allclose(np.asarray(older.sample(5, mean=True)).sum(axis=1), 1e4, rtol=1e-4)


def test_the_command_says_at_which_totals_rows_are_drawn(fit, tmp_path, capsys):
    older = replace(fit, facts=replace(fit.facts, totals=()))
    for name, run, said in (
        (
            "new",
            fit,
            "rows are drawn at totals like those of training rows, 40 to 4,000, median 400",
        ),
        ("old", older, "rows are drawn at a total of 10,000 counts, for this run does not hold"),
        (
            "named",
            _fitted(library_size=700.0),
            "rows are drawn at a total of 700 counts, the run's",
        ),
    ):
        run.save(tmp_path / name)
        assert (
            main(["sample", str(tmp_path / name), "-n", "2", "--out", str(tmp_path / "x.csv")]) == 0
        )
        assert said in capsys.readouterr().err


def test_reconstructions_have_the_totals_of_their_rows(fit):
    x = X[::30].astype(float)
    np.testing.assert_allclose(np.asarray(fit.reconstruct(x)).sum(axis=1), x.sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(fit.reconstruct(x[0])).sum(), x[0].sum(), rtol=1e-4)


def test_latents_alone_are_decoded_at_the_median_total(fit):
    z = np.zeros((3, 2), np.float32)
    assert fit.facts.totals[50] != 1e4
    for at in (z, z[0]):
        sums = np.asarray(fit.decode(at)).sum(axis=-1)
        np.testing.assert_allclose(sums, fit.facts.totals[50], rtol=1e-4)
    older = replace(fit, facts=replace(fit.facts, totals=()))
    np.testing.assert_allclose(np.asarray(older.decode(z)).sum(axis=1), 1e4, rtol=1e-4)
    named = _fitted(library_size=700.0)
    np.testing.assert_allclose(np.asarray(named.decode(z)).sum(axis=1), 700, rtol=1e-4)


@pytest.mark.parametrize("named", [None, 700.0])
def test_whoever_decodes_latents_alone_does_so_at_that_total(named):
    """Counterfactuals along the latents, and the holes that an audit shows."""
    fit = _fitted(library_size=named)
    wanted = np.median(fit.facts.totals) if named is None else named
    made = as_generator(fit, (6,))
    np.testing.assert_allclose(np.sum(made.decode(jnp.zeros(2))), wanted, rtol=1e-4)
    prior = fit.audit(taut.load_data(FRAME, columns="alike"), rows=20).holes
    assert prior is not None
    assert prior.means is not None
    np.testing.assert_allclose(prior.means.sum(axis=1), wanted, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_goes_from_one_total_to_the_other(kind):
    """It begins and ends at the rows' reconstructions."""
    fit = _fitted(likelihood=kind, library_size=None if kind == "poisson" else 700.0)
    ends = X[[0, -1]].astype(float)
    line = np.asarray(fit.interpolate(*ends, num_steps=5))
    np.testing.assert_allclose(line[[0, -1]], fit.reconstruct(ends), rtol=1e-4)
    if kind != "zero-inflated-poisson":
        between = np.linspace(*ends.sum(axis=1), 5)
        np.testing.assert_allclose(line.sum(axis=1), between, rtol=1e-4)


def test_the_command_says_at_which_totals_a_line_is_decoded(fit, tmp_path, capsys):
    fit.save(tmp_path / "run")
    FRAME.write_csv(tmp_path / "rows.csv")
    line = ["interpolate", str(tmp_path / "run"), "0", "200", "--data", str(tmp_path / "rows.csv")]
    assert main([*line, "--out", str(tmp_path / "x.csv")]) == 0
    said = "note: the line is decoded at totals that go from that of the first row to that of the second"
    assert said in capsys.readouterr().err


def test_a_row_with_holes_counts_as_one_without(fit):
    """Where columns are the same shares of every row, any of its cells tell the total."""
    rows: Any = taut.load_data(FRAME, columns="alike").train
    whole = np.repeat(np.arange(1.0, 31.0), 6)[:, None] * np.array([1, 2, 3, 4, 5, 6])
    seen = np.tile(~np.eye(6, dtype=bool), (30, 1))
    index = np.arange(len(whole), dtype=np.int32)
    complete = replace(rows, cells=whole, mask=None, index=index)
    holed = replace(rows, cells=np.where(seen, whole, np.nan), mask=seen, index=index)
    wanted = np.quantile(whole.sum(axis=1), np.linspace(0, 1, 101))
    for some in (complete, holed):
        np.testing.assert_allclose(total_quantiles(fit.model, some), wanted, rtol=1e-6)


def test_other_models_hold_none():
    fit = taut.fit(FRAME, **OPTIONS, likelihood="poisson")
    assert fit.facts.totals == ()
    assert "totals of rows" not in fact_words(fit.facts)


def test_the_guide_is_calibrated_at_totals_like_these(fit, monkeypatch):
    seen = []
    from taut.api import calibrating

    made = calibrating.simulated

    def looked(*given, **options):
        found = made(*given, **options)
        seen.append(np.asarray(found.rows.x).sum(axis=1))
        return found

    monkeypatch.setattr(calibrating, "simulated", looked)
    fit.calibrate(rows=100, draws=20)
    assert {40, 400, 4000} <= set(seen[0])
    assert np.isin(seen[0], [40, 400, 4000]).mean() > 0.9
