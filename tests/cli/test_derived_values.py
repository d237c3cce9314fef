"""What programs derive from their latents has lines of its own in every table of their posterior."""

import json

import pytest
from undrawn_figures import without_figures

from taut.cli.main import main

PROGRAM = """
import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist


def model(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    numpyro.deterministic("twice", 2.0 * mu)
    numpyro.deterministic("shifted", mu + jnp.arange(2.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
"""
NAMES = ["mu", "shifted[0]", "shifted[1]", "twice"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derived")
    (folder / "derived.py").write_text(PROGRAM)
    (folder / "rows.json").write_text('{"y": 1.5}')
    asked = [
        "--data",
        str(folder / "rows.json"),
        "--num-draws",
        "400",
        "--num-starts",
        "1",
        "--refine",
        "none",
    ]
    out = folder / "run"
    with without_figures():
        assert main(["infer", str(folder / "derived.py"), *asked, "--out", str(out)]) == 0
    return out


def test_they_are_shown_beside_the_latents(run, capsys):
    assert main(["show", str(run), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    found = content["coordinates"]
    assert list(found) == NAMES
    assert content["facts"]["coordinates"] == 1
    mean = found["mu"]["resampled_mean"]
    assert found["twice"]["resampled_mean"] == pytest.approx(2 * mean)
    assert found["shifted[1]"]["resampled_mean"] == pytest.approx(mean + 1)


def test_they_are_shown_on_the_page_of_a_run(run, tmp_path):
    page = tmp_path / "report.html"
    assert main(["report", str(run), "--out", str(page)]) == 0
    assert all(name in page.read_text() for name in NAMES)


def test_a_table_without_one_of_them_is_damaged(run, capsys):
    path = run / "coordinates.csv"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    try:
        assert main(["show", str(run)]) == 2
    finally:
        path.write_text(whole)
    assert "3 lines for 4 coordinates" in capsys.readouterr().err
