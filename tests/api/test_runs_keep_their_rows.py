"""Every command on a run works on the rows that the run's own options give, however it was fitted."""

import numpy as np
import polars as pl
import pytest

import taut
from taut.cli.main import main
from taut.cli.rows import rows_of
from taut.core import InputError
from taut.data import Data
from taut.fitted.drawn_rows import binarized_once
from taut.runs import read_toml

SMALL = taut.VAE(latent_dim=1, hidden=(4,))
QUICK = {"epochs": 1, "evidence_particles": 2}
# What decides which rows there are and what they look like, each unlike its default.
OPTIONS = [
    {"split": (0.4, 0.3, 0.3), "seed": 7},
    {"binarize": "static", "seed": 3},
    {"binarize": "dynamic"},
    {"binarize": "threshold"},
    {"support": "real", "standardize": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(o))
def test_what_was_trained_on_is_never_called_held_out(options, tmp_path):
    data = taut.load_data("digits", **options)
    run = tmp_path / "run"
    taut.fit(data, model=SMALL, out=run, **QUICK)
    loaded = taut.load(run)
    for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        part = binarized_once(part, seed=data.options.split_seed)  # of dynamic ones, to be measured
        again = rows_of(loaded, data=None, split=name)
        np.testing.assert_array_equal(again.index, part.index)
        np.testing.assert_array_equal(again.x, part.x)
    assert main(["encode", str(run)]) == 0
    assert pl.read_csv(run / "latents.csv")["row"].to_list() == data.test.index.tolist()


def test_every_choice_of_a_python_fit_is_in_its_config(tmp_path):
    taut.fit(
        "digits", model=SMALL, bound=taut.ELBO(warmup_steps=50, num_draws=2), optimizer="sgd",
        clip_norm=0.5, validate_every=4, validation_bound=taut.IWAE(3), checkpoint_every=5,
        out=tmp_path / "run", **QUICK,
    )  # fmt: skip
    config = read_toml(tmp_path / "run" / "config.toml")
    assert config["model"]["name"] == "vae"
    assert config["bound"]["warmup_steps"] == 50
    assert config["bound"]["num_draws"] == 2
    assert config["evidence"]["evidence_particles"] == 2
    training = {
        "optimizer": "sgd", "clip_norm": 0.5, "validate_every": 4, "checkpoint_every": 5,
        "validation_bound": taut.IWAE(3).to_dict(),
    }  # fmt: skip
    assert training.items() <= config["training"].items()


def test_a_file_that_has_changed_is_not_taken_for_the_one_that_was_fitted(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3))
    path = tmp_path / "rows.npy"
    np.save(path, x)
    data: Data = taut.load_data(path)
    fitted = taut.fit(data, model=SMALL, **QUICK)
    np.save(path, x + 1.0)
    with pytest.raises(InputError, match="as it was when the run was fitted, got shift"):
        rows_of(fitted, data=None, split=None)


def test_old_names_of_keywords_still_serve():
    with pytest.warns(DeprecationWarning, match="num_particles of taut.fit is called evidence_p"):
        fitted = taut.fit("digits", model=SMALL, epochs=1, num_particles=3)
    assert fitted.recipe.evidence.evidence_particles == 3
    with pytest.warns(DeprecationWarning, match="warmup_steps of taut.fit is called learning_rate"):
        fitted = taut.fit("digits", model=SMALL, warmup_steps=2, **QUICK)
    assert fitted.recipe.training.learning_rate_warmup == 2
