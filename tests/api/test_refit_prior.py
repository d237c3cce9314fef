"""Another prior for a finished model."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Datum, Estimate, InputError, paired_difference
from taut.inference.amortized.prior_ascent import prior_ascent, started_prior
from taut.models import MixtureOfGaussians
from taut.training import train

DIM = 2
OPTIONS: dict[str, Any] = {
    "latent_dim": DIM, "hidden": (8,), "epochs": 80, "batch_size": 60, "evidence_particles": 50,
    "learning_rate": 0.02,
}  # fmt: skip


def rows() -> np.ndarray:
    """Three clusters, which no normal prior has."""
    rng = np.random.default_rng(0)
    centers = np.asarray([[-4.0, 0, 2], [4, 1, -2], [0, 5, 0]])
    return (centers[rng.integers(0, 3, 300)] + 0.3 * rng.normal(size=(300, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> taut.Fit:
    return taut.fit(rows(), model="vae", **OPTIONS)


def test_a_refitted_prior_gains_on_held_out_rows_and_moves_nothing_else(fitted, tmp_path):
    found = taut.refit_prior(
        fitted, rows(), prior="mixture:5", steps=400, num_particles=50, out=tmp_path / "run",
        origin="runs/first",
    )  # fmt: skip
    assert found.kept
    gain = found.gains["elbo"]
    assert gain.value > 5 * np.hypot(gain.mc_error, gain.data_error)
    assert gain.count == fitted.facts.rows.test
    in_evidence = found.gains["log_evidence"]
    assert in_evidence.side != "exact"
    assert in_evidence.value > 5 * in_evidence.data_error  # a difference the other way round falls
    # As the two reports have it, each from draws of its own.
    apart = paired_difference(found.fit.estimates["elbo"], fitted.estimates["elbo"])
    assert abs(apart.value - gain.value) < 5 * np.hypot(apart.mc_error, gain.mc_error)
    old: Any = fitted.pair
    new: Any = found.fit.pair
    for place in (lambda p: p.guide, lambda p: p.model.decoder):
        for a, b in zip(*(jax.tree.leaves(place(p)) for p in (old, new)), strict=True):
            np.testing.assert_array_equal(a, b)
    loaded = taut.load(tmp_path / "run")
    assert loaded.architecture.to_dict()["prior"] == "mixture:5"
    assert "only the prior mixture:5 was fitted" in loaded.facts.notes[0]
    assert "came with standard-normal" in loaded.facts.notes[0]
    assert (fitted.facts.refitted_from, loaded.facts.refitted_from) == ("", "runs/first")
    np.testing.assert_array_equal(loaded.sample(5, key=1), found.fit.sample(5, key=1))
    # A folder that was read can be refitted, with a prior that shares the encoder.
    method: Any = loaded
    again = method.refit_prior(rows(), prior="vamp:6", steps=10, num_particles=50)
    shared: Any = again.fit.pair
    for a, b in zip(jax.tree.leaves(old.guide), jax.tree.leaves(shared.guide), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_prior_by_which_validation_rows_lose_is_not_kept(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("taut.api.refitting._MOST_ROWS", 8)
    found = taut.refit_prior(
        fitted, rows(), prior="vamp:2", steps=1, num_particles=2, out=tmp_path / "run"
    )
    assert found.gains["elbo"].value < -1
    assert not found.kept
    # The evidence is of test rows from all over their file, which may be sorted.
    some = found.gains["log_evidence"].index
    places = np.flatnonzero(np.isin(fitted.estimates["elbo"].index, some))
    assert len(places) == 8
    assert places.min() < 8 < 22 < places.max()  # of 30
    kept = taut.load(tmp_path / "run")
    assert found.fit.architecture == kept.architecture == fitted.architecture
    for a, b in zip(*(jax.tree.leaves(f.pair) for f in (kept, fitted)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert kept.facts.steps == fitted.facts.steps
    assert kept.history == fitted.history
    note, *others = kept.facts.notes
    assert "keeps the prior standard-normal: vamp:2 was fitted to it" in note
    assert "validation rows gain -" in note
    assert tuple(others) == fitted.facts.notes
    # The model is measured as it is.
    apart = paired_difference(found.fit.estimates["elbo"], fitted.estimates["elbo"])
    assert abs(apart.value) < 5 * apart.mc_error


@pytest.mark.parametrize("sign", [-1, 1])
def test_validation_rows_alone_decide_which_prior_is_kept(fitted, monkeypatch, sign):
    data = taut.load_data(rows())
    own = sorted(data.validation.index.tolist())

    def gain(new, old, features, *, key, num_draws):
        judging = sorted(features.index.tolist()) == own
        values = np.full(len(features.x), sign if judging else -sign, float)
        return Estimate.from_rows(values, side="unbiased", index=features.index)

    monkeypatch.setattr("taut.api.refitting.prior_gain", gain)
    found = taut.refit_prior(fitted, data, prior="mixture:2", steps=1, num_particles=2)
    assert found.kept == (sign > 0)
    assert found.fit.architecture.to_dict()["prior"] == (
        "mixture:2" if found.kept else "standard-normal"
    )


def test_validation_rows_choose_and_steps_shrink_along_a_cosine(fitted, monkeypatch):
    class Called(Exception):
        pass

    def ascent(pair, optimizer, **given):
        kept["optimizer"] = optimizer
        return prior_ascent(pair, optimizer, **given)

    def train(algorithm, *_, validate, **__):
        raise Called(validate(algorithm.pair(algorithm.init())))

    kept: dict[str, Any] = {}
    monkeypatch.setattr("taut.api.refitting.prior_ascent", ascent)
    monkeypatch.setattr("taut.api.refitting.train", train)
    data = taut.load_data(rows())
    with pytest.raises(Called) as raised:
        taut.refit_prior(fitted, data, prior="mixture:2", steps=10, learning_rate=0.25)
    judged = raised.value.args[0]
    assert sorted(judged.index.tolist()) == sorted(data.validation.index.tolist())
    state, sizes = kept["optimizer"].init(jnp.zeros(())), []
    for _ in range(10):
        moved, state = kept["optimizer"].update(jnp.ones(()), state)
        sizes.append(-float(moved))
    # Steps of Adam along one slope have the length of the rate.
    wanted = 0.25 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2
    np.testing.assert_allclose(sizes, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("prior", "other"),
    [("mixture:4", "mixture:3"), ("vamp:6", "vamp:5"), ("vamp:6,weighted", "vamp:6")],
)
def test_a_prior_of_the_same_kind_and_size_is_fitted_on(fitted, monkeypatch, prior, other):
    """From where it is, which no ascent makes worse; one of another form starts anew."""

    class Called(Exception):
        pass

    def ascended(*given, **more):
        raise Called(given[0], train(*given, **more))

    monkeypatch.setattr("taut.api.refitting.train", ascended)
    architecture = replace(fitted.architecture, prior=prior)
    own: Any = architecture.init(fitted.schema, jax.random.key(5))
    run = replace(fitted, pair=own, architecture=architecture)

    def refit(prior: str, rate: float) -> tuple[Any, Any]:
        with pytest.raises(Called) as raised:
            taut.refit_prior(run, rows(), prior=prior, steps=2, learning_rate=rate)
        algorithm, state = raised.value.args
        return algorithm.pair(algorithm.init()).model.prior_family, state

    begun, state = refit(prior, 50.0)
    for place in (begun, state.best.model.prior_family):
        for a, b in zip(*map(jax.tree.leaves, (place, own.model.prior_family)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert int(state.best_step) == 0
    anew, _ = refit(other, 1e-3)
    shapes = [list(map(jnp.shape, jax.tree.leaves(one))) for one in (begun, anew)]
    assert shapes[0] != shapes[1]


@pytest.mark.usefixtures("float64")
def test_a_mixture_starts_at_clusters_of_draws():
    rng = np.random.default_rng(1)
    centers = np.asarray([[-6.0, 0], [6, 1]])
    owner = np.arange(400) % 4 == 0
    z = centers[owner.astype(int)] + [0.5, 0.1] * rng.normal(size=(400, 2))
    made = MixtureOfGaussians(2, 2, key=jax.random.key(0))
    prior = started_prior(made, Datum(z), z, seed=3)
    order = np.argsort(np.asarray(prior.means)[:, 0])
    by_hand = [z[~owner].mean(axis=0), z[owner].mean(axis=0)]
    np.testing.assert_allclose(np.asarray(prior.means)[order], by_hand, rtol=1e-9)
    weights = np.asarray(jax.nn.softmax(prior.logits))[order]
    np.testing.assert_allclose(weights, [301 / 402, 101 / 402], rtol=1e-9)
    scales = prior.floor + np.asarray(jax.nn.softplus(jnp.asarray(prior.raw_scales)))[order]
    least = [z[~owner].std(axis=0), z[owner].std(axis=0)]
    assert np.all((scales > least) & (scales < 3 * np.asarray(least) + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": "mixture:900"}, "at most 240 components for 240 training rows, got 900"),
        ({"prior": "vamp:900"}, "at least as many training rows as pseudo-inputs"),
        ({"prior": "mixtur:3"}, "Try 'mixture'"),
        ({"data": rows()[:200]}, "the data that the model was fitted to"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a positive number"),
    ],
)
def test_what_cannot_be_refitted_is_one_line(fitted, change: Any, message: str):
    given = {"prior": "mixture:3", "steps": 5, **change}
    with pytest.raises(InputError) as caught:
        taut.refit_prior(fitted, given.pop("data", rows()), **given)
    assert message in str(caught.value)


def test_a_model_without_an_encoder_is_refused():
    flow = taut.fit(rows(), model="flow", layers="affine-coupling:1", hidden=(4,), epochs=1)
    with pytest.raises(InputError, match="a vae with an encoder"):
        taut.refit_prior(flow, rows(), prior="mixture:3")
