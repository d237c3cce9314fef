"""Networks, priors and options of likelihoods on the command line."""

import json

import numpy as np
import pytest
from undrawn_figures import without_figures

import taut
from taut.cli.main import main
from taut.recipe import recipe_from, recipe_of
from taut.runs import read_toml

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = ["--latent-dim", "2", "--epochs", "1", "--evidence-particles", "4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run with convolutions and a mixture prior."""
    folder = tmp_path_factory.mktemp("networks") / "run"
    options = ["--network", "residual-conv", "--hidden", "4", "--prior", "mixture:3"]
    scaled = ["--likelihood", "gaussian", "--support", "real", "--scale", "datum"]
    scaled += ["--likelihood-floor", "0.1"]
    with without_figures():
        assert main(["fit", "digits", "--out", str(folder), *QUICK, *options, *scaled]) == 0
    return folder


def test_config_names_the_choices(run):
    model = read_toml(run / "config.toml")["model"]
    assert (model["network"], model["hidden"], model["prior"]) == (
        "residual-conv",
        [4],
        "mixture:3",
    )
    assert model["likelihood_options"] == {"scale": "datum", "floor": 0.1}
    choices = json.loads((run / "model.json").read_text())["architecture"]
    assert (choices["network"], choices["hidden"], choices["prior"]) == (
        "residual-conv", [4], "mixture:3",
    )  # fmt: skip
    assert choices["likelihood_options"] == {"scale": "datum", "floor": 0.1}
    assert choices["activation"] == "gelu"


def test_a_loaded_run_is_the_fitted_one(run):
    loaded = taut.load(run)
    model, _ = loaded.pair.bind()
    assert model.prior_family.means.shape == (3, 2)
    assert model.likelihood.num_outputs == 2
    assert loaded.estimates["kl"].side == "unbiased"  # no closed form to a mixture
    rows = taut.load_data("digits", support="real").test.x[:3]
    assert loaded.encode(rows).shape == (3, 2)
    assert np.all(np.isfinite(loaded.reconstruct(rows)))


def test_config_toml_repeats_the_choices(run):
    again = recipe_from(read_toml(run / "config.toml")).model
    fitted = taut.load(run).architecture
    assert again.resolved(taut.load(run).schema)[0] == fitted


def test_options_of_counts_reach_the_likelihood():
    options = {"library": True, "library_size": 500.0}
    found = recipe_of(dict(likelihood="zero-inflated-poisson", **options)).model
    assert found.likelihood_options == options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--network", "residual"], ["network", "residual-conv"]),
        (["--network", "residual-conv", "--hidden", "8,8,8,8"], ["1 to 3 channel widths", "got 4"]),
        (["--network", "gated-mlp", "--activation", "relu"], ["activation", "got 'relu'"]),
        (["--prior", "mixture:0"], ["mixture:C", "'mixture:0'", "mixture:10"]),
        (["--prior", "mixtures"], ["Try 'mixture'"]),
        (["--likelihood", "gaussian", "--scale", "row"], ["scale", "datum"]),
        (["--likelihood", "poisson", "--scale", "datum"], ["--scale with --likelihood gaussian or st"]),
        (["--likelihood", "gaussian", "--library"], ["--library with --likelihood", "gaussian"]),
        (["--likelihood", "poisson", "--library-size", "9"], ["--library with --library-size"]),
        (["--likelihood", "gaussian", "--likelihood-floor", "0"], ["a positive floor", "got 0"]),
    ],
)  # fmt: skip
def test_wrong_choices_get_one_line(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "digits", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("taut: ")
    assert len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err
    assert list(tmp_path.iterdir()) == []


def test_residual_conv_on_a_table_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", np.random.default_rng(0).normal(size=(40, 3)))
    assert main(["fit", "table.npy", "--network", "residual-conv"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "taut: network: expected images, (H, W) or (H, W, C), for the network residual-conv, got a "
        "table of 3 columns. Try the network mlp or gated-mlp, or --image-shape where rows are flat "
        "images.\n"
    )
