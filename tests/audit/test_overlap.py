"""Rows that a draw cannot tell apart: both limits, and the nearest row."""

import jax
import numpy as np
import pytest
from known_models import ConjugateGaussian, LinearGaussian, LinearGuide, NormalGuide
from scipy.stats import norm

import taut
from taut.architectures import VAE
from taut.audit import overlap, surgery
from taut.core import Datum, Estimate, Pair

MODEL = ConjugateGaussian(np.array(1.0), np.array(0.0), np.array(0.0))
X = np.array([0.0, 1.0, 3.0, 7.0, 7.5])


def seen(slope, x=X, scale=0.5, num_draws=500, key=0):
    pair = Pair(MODEL, NormalGuide(np.array(slope), np.array(0.0), np.log(scale)))
    rows = Datum(x, index=np.arange(10, 10 + len(x)))
    return overlap(surgery(pair, rows, key=jax.random.key(key), num_draws=num_draws))


@pytest.mark.parametrize(("slope", "rows", "share"), [(0.0, 5, 0.0), (100.0, 1, 0.0)])
def test_all_alike_are_n_rows_and_all_apart_are_one(slope, rows, share, float64):
    found = seen(slope)
    np.testing.assert_allclose(found.effective_rows.value, rows, rtol=1e-9)
    assert found.larger_elsewhere.value == share


def test_rows_that_are_alike_are_not_parted_by_rounding():
    """In float32 one density has other last digits where its row is drawn for and where it is not."""
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    schema = taut.load_data((x, x, x)).schema
    pair = VAE(latent_dim=3, hidden=(32, 32), guide="iaf:2").init(schema, jax.random.key(0))
    found = overlap(
        surgery(pair, Datum(np.repeat(x[:1], 40, axis=0)), key=jax.random.key(1), num_drawn=20)
    )
    np.testing.assert_allclose(found.effective_rows.value, 40, rtol=1e-5)
    assert found.larger_elsewhere.value == 0


@pytest.mark.parametrize("widest", [1, 2, 3, 4])
def test_what_fills_up_the_last_block_of_components_is_nobody(widest, float64, monkeypatch):
    whole = seen(1.0)
    monkeypatch.setattr("taut.audit.among_rows._WIDEST", widest)
    found = seen(1.0)
    for name in ("effective_rows", "larger_elsewhere"):
        own, its = getattr(found, name), getattr(whole, name)
        np.testing.assert_allclose(
            [own.value, own.mc_error, own.data_error], [its.value, its.mc_error, its.data_error]
        )
    assert [n.other for n in found.neighbours] == [n.other for n in whole.neighbours]


@pytest.mark.parametrize("widest", [2, 4])
def test_no_part_of_the_elbo_hangs_on_the_blocks_of_components(widest, float64, monkeypatch):
    """Two latents, so that dimensions have marginals to be summed; seven rows fill up no block."""
    x = np.random.default_rng(1).normal(size=(7, 2))
    tril = np.array([[0.5, 0.0], [0.3, 0.4]])
    pair = Pair(LinearGaussian(np.eye(2), 0.5), LinearGuide(np.eye(2), tril))

    def parts():
        found = surgery(pair, Datum(x), key=jax.random.key(0), num_draws=6)
        assert found.dimension_kls is not None
        named = {n: e for n, e in vars(found).items() if isinstance(e, Estimate)}
        return named | {f"dimension {j}": e for j, e in enumerate(found.dimension_kls)}

    whole = parts()
    assert {"mutual_information", "marginal_kl", "total_correlation", "dimension 1"} <= set(whole)
    monkeypatch.setattr("taut.audit.among_rows._WIDEST", widest)
    for name, found in parts().items():
        np.testing.assert_allclose(found.values, whole[name].values, atol=1e-12, err_msg=name)


def test_the_error_of_effective_rows_is_their_spread_over_keys(float64):
    """Of 60 keys the ratio of the two has a standard error of 1 / sqrt(2 * 59) = 0.09."""
    found = [seen(1.0, num_draws=40, key=key).effective_rows for key in range(60)]
    spread = np.std([one.value for one in found], ddof=1)
    assert spread / np.mean([one.mc_error for one in found]) == pytest.approx(1, abs=5 * 0.09)


def test_both_errors_of_effective_rows_are_in_rows(float64):
    """N exp(-I) moves by N exp(-I) times what I moves by, to first order."""
    pair = Pair(MODEL, NormalGuide(np.array(1.0), np.array(0.0), np.log(0.5)))
    parts = surgery(pair, Datum(X, index=np.arange(5)), key=jax.random.key(0), num_draws=40)
    found, information = overlap(parts).effective_rows, parts.mutual_information
    assert found.value == pytest.approx(5 * np.exp(-information.value), rel=1e-12)
    for error in ("mc_error", "data_error"):
        relative = getattr(found, error) / found.value
        assert relative == pytest.approx(getattr(information, error), rel=1e-12)


def test_the_share_of_draws_that_another_row_explains_better(float64):
    """Two Gaussians of one scale: z lies beyond the middle."""
    found = seen(1.0, X[:2], num_draws=4000)
    truth = norm.sf(0.5, scale=0.5)
    assert abs(found.larger_elsewhere.value - truth) < 5 * found.larger_elsewhere.mc_error


def test_the_nearest_row_and_its_divergence(float64):
    found = seen(1.0)
    others = {n.row: n.other for n in found.neighbours}
    assert others == {10: 11, 11: 10, 12: 11, 13: 14, 14: 13}
    nearest = found.nearest(1)[0]
    assert {nearest.row, nearest.other} == {13, 14}
    assert abs(nearest.divergence - 0.5**2 / (2 * 0.5**2)) < 5 / np.sqrt(500)
