"""`taut gradients` as a user drives it."""

import json
from dataclasses import replace

import pytest
from undrawn_figures import without_figures

from taut.bounds import ELBO
from taut.cli.main import main
from taut.cli.rows import open_run
from taut.errors import InputError

QUICK = ["--hidden", "16", "--latent-dim", "2", "--epochs", "1", "--evidence-particles", "30"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run on the digits."""
    folder = tmp_path_factory.mktemp("gradients") / "run"
    with without_figures():
        assert main(["fit", "digits", "--out", str(folder), *QUICK]) == 0
    return folder


def test_names_what_to_take_and_why(run, capsys):
    small, names = ["--rows", "2", "--num-repeats", "10"], "reparameterized,stl"
    all_of_them = [*small, "--estimators", f"{names},rloo"]
    assert main(["gradients", str(run), *all_of_them, "--kl", "sampled", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["estimators"]) == {"reparameterized", "stl", "rloo"}
    assert found["recommended"] in found["estimators"]
    assert "variance x time" in found["why"]
    assert found["estimators"]["rloo"]["evaluations"] == {"model": 2, "guide": 2}
    assert (run / "figures" / "gradients.png").exists()
    assert main(["gradients", str(run), *small, "--estimators", names, "--kl", "closed"]) == 0
    out = capsys.readouterr().out
    assert "recommended" in out
    assert "Try --kl sampled" in out  # why stl does not serve a closed KL


@pytest.mark.parametrize(("own", "taken"), [(1, 2), (2, 2), (5, 5)])
def test_draws_are_as_many_as_the_run_s_and_two_at_least(own, taken, run, monkeypatch):
    fitted, asked = open_run(run), []

    def bench(pair, rows, bound, **options):
        asked.append(bound)
        raise InputError("a bench", "none", "another")

    recipe = replace(fitted.recipe, bound=ELBO(num_draws=own))
    monkeypatch.setattr("taut.cli.gradients.open_run", lambda _: replace(fitted, recipe=recipe))
    monkeypatch.setattr("taut.audit.gradient_bench", bench)
    for given, wanted in (
        ([], taken),
        (["--num-particles", "4"], 4),
        (["--num-particles", "1"], 1),
    ):
        assert main(["gradients", str(run), *given]) == 2
        assert asked.pop() == ELBO(num_draws=wanted)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--rows", "0"], "rows: expected at least one row, got 0. Try 32."),
        (["--estimators", "rebarr"], "estimators: expected names among "),
        (["--bound", "iwae", "--kl", "closed"], "kl: expected --kl with --bound elbo"),
    ],
)
def test_one_line_for_what_cannot_be_measured(run, capsys, options, line):
    assert main(["gradients", str(run), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"taut: {line}")
    assert len(err.strip().splitlines()) == 1
