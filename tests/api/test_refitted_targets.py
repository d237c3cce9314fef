"""A refit prior moves what a model says of a column, and leaves what was learned of its features."""

import numpy as np
import polars as pl
import pytest
from scipy.special import log_softmax

import taut
from taut.fitted.prediction import SCORES

GENERATOR = np.random.default_rng(4)
PLACE = GENERATOR.integers(0, 3, 300)
ROWS = pl.DataFrame({
    "a": np.array([-4.0, 0.0, 4.0])[PLACE] + 0.4 * GENERATOR.normal(size=300),
    "b": np.array([1.0, -2.0, 1.0])[PLACE] + 0.4 * GENERATOR.normal(size=300),
    "kind": np.array(["low", "middle", "high"])[np.where(GENERATOR.random(300) < 0.8, PLACE, 1)],
    "size": 10.0 * PLACE + GENERATOR.normal(size=300),
})  # fmt: skip


def refitted(target: str, target_as: str):
    data = taut.load_data(ROWS, target=target, target_as=target_as, columns="auto")
    fit = taut.fit(
        data, model="vae", latent_dim=2, hidden=(8,), epochs=40, batch_size=60, learning_rate=0.02,
        evidence_particles=50,
    )  # fmt: skip
    return (
        data,
        fit,
        taut.refit_prior(fit, data, prior="mixture:3", steps=100, num_particles=50).fit,
    )


@pytest.mark.parametrize("target", ["kind", "size"])
@pytest.mark.parametrize("target_as", ["column", "label"])
def test_a_refit_is_measured_on_its_target(target, target_as, tmp_path):
    data, fit, found = refitted(target, target_as)
    told = {name: fit.estimates[name] for name in SCORES if name in fit.estimates}
    assert told
    assert {name for name in SCORES if name in found.estimates} == set(told)
    if target_as == "label":  # the encoder, of whose features it was learned, is as it was
        for name, one in told.items():
            assert found.estimates[name].value == one.value
    counts = f"rows with a value of the target '{target}': 240 train, 30 validation, 30 test"
    assert counts in found.facts.notes
    predicted = taut.load(found.save(tmp_path / "run")).predict(data.test)
    known = ROWS[target].to_numpy()[data.test.index]
    if target == "kind":
        right = np.mean(predicted.labels == known)
        assert found.estimates["accuracy"].value == pytest.approx(right)
    else:
        off = np.sqrt(np.mean((predicted.mean - known) ** 2))
        assert found.estimates["rmse"].value == pytest.approx(off, rel=1e-5)


def test_the_temperature_of_a_conditional_is_that_of_the_refitted_model():
    """It has the validation rows' classes most probable, by the prior of its logarithm."""
    data, fit, found = refitted("kind", "column")
    probabilities = found.predict(data.validation).probabilities
    temperature = float(found.predictor.temperature)
    logits = temperature * np.log(probabilities)
    names = ROWS["kind"].to_numpy()[data.validation.index]
    codes = [found.schema.class_names.index(name) for name in names]

    def loss(log_t: float) -> float:
        own = log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(codes)), codes]
        return 0.5 * (log_t / 0.5) ** 2 - own.sum()

    around = [loss(np.log(temperature) + step) for step in (-1e-2, 0.0, 1e-2)]
    assert np.argmin(around) == 1
    assert found.predictor.temperature != fit.predictor.temperature
