"""Discrete latents on the command line: what the options make, what a run says, what is refused."""

import csv
import json

import pytest
from undrawn_figures import without_figures

from taut.cli.main import main
from taut.errors import InputError
from taut.gradients import Concrete, Enumeration, LeaveOneOut, NetworkBaseline, ScoreFunction
from taut.recipe import recipe_of

pytestmark = pytest.mark.usefixtures("undrawn")

BITS = ["fit", "digits", "--binarize", "threshold", "--model", "discrete"]
QUICK = ["--epochs", "1", "--evidence-particles", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose gradient brings its bound along."""
    folder = tmp_path_factory.mktemp("discrete") / "run"
    model = ["--latents", "categorical:3x4", "--gradient", "vimco", "--num-particles", "3"]
    with without_figures():
        assert main([*BITS, *QUICK, *model, "--out", str(folder)]) == 0
    return folder


def test_a_run_is_measured_on_the_bound_that_its_gradient_brought(run, capsys):
    assert main(["show", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["bound"]["name"] == "iwae"
    asked = ["--rows", "2", "--num-repeats", "10", "--estimators", "vimco,score-function,rebar"]
    assert main(["gradients", str(run), *asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["estimators"]) == {"vimco", "score-function"}
    assert found["estimators"]["vimco"]["evaluations"] == {"model": 3, "guide": 3}
    assert "--bound elbo" in found["refused"]["rebar"]


def test_encodings_are_the_probabilities_of_the_outcomes(run, capsys):
    assert main(["encode", str(run)]) == 0
    capsys.readouterr()
    rows = list(csv.reader((run / "latents.csv").read_text().splitlines()))
    values = [float(v) for v in rows[1][-12:]]
    assert sum(values) == pytest.approx(3.0, abs=1e-5)
    assert len({round(sum(values[i : i + 4]), 5) for i in (0, 4, 8)}) == 1


def test_options_shape_the_estimator_of_the_rest():
    made = recipe_of({"gradient": "enumeration", "enumerate": "layer:2"}).gradient
    assert isinstance(made, Enumeration)
    assert isinstance(made.rest, LeaveOneOut)
    made = recipe_of(
        {"gradient": "enumeration", "enumerate": "unit:3", "rest": "score-function",
         "baseline": "network"}
    ).gradient  # fmt: skip
    assert isinstance(made, Enumeration)
    assert made.over == "unit:3"
    assert made.rest == ScoreFunction(NetworkBaseline())
    relaxed = recipe_of({"gradient": "gumbel-softmax", "temperature": 0.3}).gradient
    assert isinstance(relaxed, Concrete)
    assert float(relaxed.temperature(10**6)) == pytest.approx(0.3)
    assert recipe_of({}).gradient is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"enumerate": "unit:1"},
            'enumerate: expected `gradient` with `enumerate`, got none. Try gradient="enumeration".',
        ),
        (
            {"baseline": "none"},
            'baseline: expected `gradient` with `baseline`, got none. Try gradient="score-function".',
        ),
        (
            {"gradient": "rloo", "enumerate": "layer:1"},
            'enumerate: expected `enumerate` with gradient="enumeration", got gradient="rloo". Try '
            "leaving out `enumerate`.",
        ),
        (
            {"gradient": "enumeration", "rest": "rloo"},
            "rest: expected a layer or a unit to sum over with `rest`, which is of the rest, got "
            'enumerate="all". Try enumerate="layer:1", or leaving out `rest`.',
        ),
        (
            {"gradient": "enumeration", "enumerate": "unit:1", "temperature": 0.5},
            'temperature: expected `temperature` with rest="gumbel-softmax" or straight-through or '
            'rebar or relax, got rest="rloo". Try leaving out `temperature`.',
        ),
        (
            {"gradient": "rloo", "baseline": "none"},
            'baseline: expected `baseline` with gradient="score-function" or nvil, got '
            'gradient="rloo". Try leaving out `baseline`.',
        ),
        (
            {"gradient": "score-function", "baseline": "mean"},
            "baseline: expected one of moving-average, network, none, got 'mean'. Try ",
        ),
    ],
)
def test_options_that_do_not_meet_are_refused(options, message):
    with pytest.raises(InputError) as refused:
        recipe_of(options)
    assert str(refused.value).startswith(message)


def test_an_unknown_estimator_is_refused_under_its_own_option():
    for options, flag in (
        ({"gradient": "vimko"}, "gradient"),
        ({"gradient": "enumeration", "enumerate": "unit:1", "rest": "vimko"}, "rest"),
    ):
        with pytest.raises(InputError, match=rf"^{flag}: expected one of .* Try 'vimco'"):
            recipe_of(options)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--latents", "categorical:4x5", "--gradient", "reparameterized"],
            "gradient: expected a guide whose draws are differentiable in its parameters, got a "
            "CategoricalLogits guide, whose draws are not. Try",
        ),
        (
            ["--gradient", "vimco", "--num-particles", "1"],
            "vimco: expected at least two particles inside a logarithm, got 1.",
        ),
        (
            ["--gradient", "dreg", "--bound", "elbo"],
            "doubly reparameterized gradient: expected the bound iwae or renyi",
        ),
        (
            ["--inference", "wake-sleep", "--gradient", "rloo"],
            "wake-sleep: expected no estimator, for wake-sleep takes no gradient through draws",
        ),
        (
            ["--latents", "bernoulli:200", "--gradient", "enumeration"],
            "enumeration: expected at most 65,536 outcomes to enumerate, got about 10^60, whose "
            "latents alone take about 10^51 TB a row. Try --enumerate units or layer:N",
        ),
        (
            ["--latents", "bernoulli:8,4", "--gradient", "enumeration", "--enumerate", "layer:3"],
            "enumeration: expected a layer from 1 to 2, got layer:3. Try layer:2.",
        ),
    ],
)
def test_one_line_for_what_cannot_be_fitted(tmp_path, capsys, options, line):
    assert main([*BITS, *QUICK, *options, "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"taut: {line}")
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
