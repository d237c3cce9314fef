"""M1+M2: a second model on the latent features of all rows names classes that few labels tell."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import taut
from taut.core import Datum, InputError
from taut.fitted.stacked import stacked_head
from taut.inference.amortized.prior_ascent import latents_of
from taut.training import Plateau, TrainingOptions, start
from taut.training import train as trained

RNG = np.random.default_rng(0)
N = 320
CLASS = np.arange(N) % 2
X = np.where(RNG.random((N, 12)) < np.where(CLASS[:, None], 0.85, 0.15), 1, 0)
Y = np.where(np.arange(N) % 16 > 1, np.nan, CLASS)
STACK: dict[str, Any] = {"target": "y", "model": "vae", "head": "mixture-vae"}
TINY: dict[str, Any] = {
    "latent_dim": 2, "hidden": (8,), "evidence_particles": 2, "epochs": 40, "batch_size": 32,
    "learning_rate": 0.01,
}  # fmt: skip


def test_the_stack_predicts_is_measured_and_comes_back(tmp_path):
    found: Any = taut.fit(_parts(Y), out=tmp_path / "run", **STACK, **TINY)
    assert (found.predict(X).labels == CLASS).mean() > 0.93
    assert [note for note in found.facts.notes if "the bound of the stack is the ELBO" in note]
    again: Any = taut.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict(X).probabilities, found.predict(X).probabilities)


def test_the_upper_model_is_told_the_classes_of_neighbours(monkeypatch):
    seen = {}

    def spread(z, codes, held, num_classes):
        seen.update(z=z, codes=codes, held=held, num_classes=num_classes)
        return np.where(codes < 0, 1, codes)

    def stacked(pair, rows, labels, *rest, **options):
        seen.update(told=labels[0], judged=labels[1])
        return stacked_head(pair, rows, labels, *rest, **options)

    monkeypatch.setattr("taut.fitted.predicting.spread_labels", spread)
    monkeypatch.setattr("taut.fitted.predicting.stacked_head", stacked)
    found: Any = taut.fit(_parts(Y), **STACK, **{**TINY, "epochs": 1})
    codes = np.where(np.isnan(Y), -1, Y)
    np.testing.assert_array_equal(seen["codes"], codes[:240])
    np.testing.assert_array_equal(seen["told"], np.where(codes < 0, 1, codes)[:240])
    np.testing.assert_array_equal(seen["judged"], codes[240:280])  # held-out labels stay few
    np.testing.assert_allclose(seen["z"], found.encode(X[:240]), rtol=1e-5, atol=1e-6)
    known = np.flatnonzero(codes[240:280] >= 0)
    np.testing.assert_allclose(
        seen["held"][0], found.encode(X[240:280][known]), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(seen["held"][1], codes[240:280][known])
    assert seen["num_classes"] == 2


def test_neighbours_predict_where_they_are_asked_for():
    options = {**STACK, "head": "propagation"}
    found: Any = taut.fit(_parts(Y), **options, **TINY)
    assert (found.predict(X).labels == CLASS).mean() > 0.9
    note = "classes are spread along neighbours"
    assert not [text for text in found.facts.notes if text.startswith(note)]  # was asked for


def test_the_best_parameters_of_the_stack_are_kept(monkeypatch):
    def train(algorithm, *_, **__):
        state = start(algorithm)
        return state._replace(best=jax.tree.map(jnp.zeros_like, state.best))

    monkeypatch.setattr("taut.fitted.stacked.train", train)
    schema = taut.load_data(X.astype(np.float32)).schema
    pair = taut.VAE(latent_dim=2, hidden=(4,)).resolved(schema)[0].init(schema, jax.random.key(0))
    rows, labels = Datum(X[:24].astype(np.float32)), CLASS[:24].astype(np.int32)
    training = TrainingOptions(batch_size=8)
    head = stacked_head(pair, (rows, rows), (labels, labels), 2, training, num_steps=1)
    leaves = jax.tree.leaves(eqx.filter(head.pair, eqx.is_array))
    assert leaves
    assert not any(np.any(leaf) for leaf in leaves)


STEPS = 12
ARRIVES: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "learning_rate_schedule": "cosine",
    "learning_rate_warmup": 8,
    "clip_norm": 1e-3,
    "batch_size": 6,
    "patience": 1,
    "precision": "float64",
}


@pytest.fixture(scope="module")
def headed():
    """The parameters of a stack, and its loop, by options of training."""
    schema = taut.load_data(X.astype(np.float32)).schema
    pair = taut.VAE(latent_dim=2, hidden=(4,)).resolved(schema)[0].init(schema, jax.random.key(0))
    rows, labels = Datum(X[:24].astype(np.float32)), CLASS[:24].astype(np.int32)

    def made(**options: Any) -> tuple[np.ndarray, Any]:
        loops = []

        def train(algorithm, of, loop, **judges):
            loops.append(loop)
            state = trained(algorithm, of, loop._replace(patience=0), **judges)
            return state._replace(best=eqx.filter(algorithm.pair(state.inference), eqx.is_array))

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("taut.fitted.stacked.train", train)
            training = TrainingOptions(**{"batch_size": 8, "patience": 5, **options})
            head = stacked_head(pair, (rows, rows), (labels, labels), 2, training, num_steps=STEPS)
        leaves = jax.tree.leaves(eqx.filter(head.pair, eqx.is_inexact_array))
        return np.concatenate([np.ravel(leaf) for leaf in leaves]), loops[0]

    return made


@pytest.mark.parametrize("name", ARRIVES)
def test_an_option_of_training_reaches_the_upper_model(name, headed):
    (plain, loop), (other, told) = headed(), headed(**{name: ARRIVES[name]})
    assert loop != told or plain.dtype != other.dtype or not np.array_equal(plain, other)


def test_a_plateau_reaches_the_upper_model(monkeypatch):
    def train(algorithm, _, loop, **__):
        assert loop.plateau == Plateau()
        return start(algorithm)

    monkeypatch.setattr("taut.fitted.stacked.train", train)
    schema = taut.load_data(X.astype(np.float32)).schema
    pair = taut.VAE(latent_dim=2, hidden=(4,)).resolved(schema)[0].init(schema, jax.random.key(0))
    rows, labels = Datum(X[:24].astype(np.float32)), CLASS[:24].astype(np.int32)
    training = TrainingOptions(batch_size=8, learning_rate_schedule="plateau")
    stacked_head(pair, (rows, rows), (labels, labels), 2, training, num_steps=STEPS)


class Looked(Exception):
    """What judges has been seen."""


def test_validation_rows_that_judge_are_from_all_over_them(monkeypatch):
    latents, seen = [], []

    def kept(*given: Any, **options: Any) -> Any:
        latents.append(latents_of(*given, **options))
        return latents[-1]

    def bound(_: Any, rows: Datum, *__: Any, **___: Any) -> Any:
        seen.append(rows.x)
        raise Looked

    monkeypatch.setattr("taut.fitted.stacked.latents_of", kept)
    monkeypatch.setattr("taut.fitted.stacked.expected_bound", bound)
    monkeypatch.setattr("taut.fitted.stacked._JUDGED", 8)
    schema = taut.load_data(X.astype(np.float32)).schema
    pair = taut.VAE(latent_dim=2, hidden=(4,)).resolved(schema)[0].init(schema, jax.random.key(0))
    monkeypatch.setattr("taut.fitted.stacked.train", lambda *_, validate, **__: validate(pair))
    rows, labels = Datum(X[:24].astype(np.float32)), CLASS[:24].astype(np.int32)
    with pytest.raises(Looked):
        stacked_head(pair, (rows, rows), (labels, labels), 2, TrainingOptions(), num_steps=STEPS)
    places = np.flatnonzero((latents[1][:, None] == seen[0]).all(axis=2).any(axis=1))
    assert len(places) == 8
    assert places.min() < 8 < 16 <= places.max()


def test_without_held_out_labels_nothing_is_calibrated():
    found: Any = taut.fit(
        _parts(np.where(np.arange(N) < 240, Y, np.nan)), **STACK, **{**TINY, "epochs": 1}
    )
    assert float(found.predictor.temperature) == 1
    assert "no validation row has a target: probabilities are not calibrated" in found.facts.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "mixture-vae"}, 'a vae with an encoder with head="mixture-vae"'),
        ({"inference": "per-datum"}, "a vae with an encoder"),
        ({"inference": "semi-amortized"}, "a vae with an encoder"),
        ({"target_as": "column"}, "a target of classes beside the columns .*, got the target 'y'"),
        ({"head": "propagation", "model": "mixture-vae"}, "whose latents are no classes"),
        ({"head": "logistic", "model": "mixture-vae"}, "whose latents are no classes"),
        ({"head": "m2"}, "one of auto, logistic, propagation, mixture-vae, got 'm2'"),
    ],
)
def test_what_has_no_features_or_no_classes_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        taut.fit(_parts(Y), **{**TINY, **STACK, **options})


def test_a_head_without_a_target_is_refused():
    with pytest.raises(InputError, match="got no target"):
        taut.fit(X, model="vae", head="mixture-vae", **TINY)


def _parts(y: np.ndarray) -> tuple[Any, ...]:
    frame = pd.DataFrame(X, columns=list("abcdefghijkl")).assign(y=y)
    return frame[:240], frame[240:280], frame[280:]
