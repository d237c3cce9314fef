"""Where no log-weight is a draw there are no particles, no effective sample size and no k-hat."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from unchecked import types_unchecked

import taut
from taut.cli.main import main
from taut.report.audit import audit_page
from taut.report.html.audited import evaluation
from taut.report.html.reprs import evidence as shown
from taut.report.words import fact_words

RNG = np.random.default_rng(0)
REALS = RNG.normal(size=(80, 4))
# name: whether evidence by the guide is made of draws, and what makes a small fit
MODELS: dict[str, tuple[bool, dict[str, Any]]] = {
    "vae": (True, {"latent_dim": 1}),
    "vq": (False, {"latents": "2x4", "hidden": (4,)}),
    "flow": (False, {"layers": "affine-coupling:2"}),
    "flow with a surjection": (True, {"layers": "augment:2,affine-coupling:2"}),
    "discrete": (False, {"latents": "bernoulli:3"}),
    "discrete of more outcomes than draws": (True, {"latents": "bernoulli:11"}),
    "gmm": (False, {"components": 2}),
}


def _options(name: str) -> dict[str, Any]:
    model = name.partition(" ")[0]
    own = {"model": model, **MODELS[name][1]}
    if model == "gmm":
        return own
    networks = {} if model == "flow" else {"hidden": (4,)}
    return {**own, **networks, "epochs": 1, "evidence_particles": 20}


def _evaluated(run: Path, *words: str) -> int:
    """As a user does it: what a run holds are arrays of NumPy until they are compiled."""
    with types_unchecked():
        return main(["evaluate", str(run), "--method", "importance", *words])


@pytest.mark.parametrize("name", MODELS)
def test_nothing_says_how_far_draws_can_be_trusted(name, tmp_path, capsys):
    at_random = MODELS[name][0]
    np.save(tmp_path / "x.npy", REALS)
    fit: Any = taut.fit(str(tmp_path / "x.npy"), out=tmp_path / "run", **_options(name))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["facts"].get("particles") is not None) == at_random
    found = fit.evaluate(REALS[:8], num_particles=20)
    assert found.at_random == at_random
    assert ("k-hat" in str(shown(found))) == at_random
    assert (fit.score(REALS[:8]).khat is not None) == at_random
    assert _evaluated(tmp_path / "run", "--json") == 0
    told = json.loads(capsys.readouterr().out)["importance"]
    assert [told[word] is not None for word in ("num_particles", "ess", "khat")] == [at_random] * 3
    assert (tmp_path / "run" / "figures" / "khat.png").exists() == at_random
    kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert ("k-hat" in str(evaluation(kept))) == at_random
    assert _evaluated(tmp_path / "run") == 0
    page = capsys.readouterr().out
    assert ("k-hat of all rows" in page) == at_random
    told = fact_words(fit.facts).get("log-evidence by", "")
    assert ["importance sampling" in words for words in (page, told)] == [at_random] * 2


def test_an_audit_names_the_sum_of_all_outcomes():
    data = taut.load_data((REALS > 0).astype(float))
    fit: Any = taut.fit(data, **_options("discrete"))
    printed = io.StringIO()
    audit_page(Console(file=printed, width=200), fit.audit(data))
    (line,) = [one for one in printed.getvalue().splitlines() if "log-evidence by" in one]
    assert line.split("by")[1].strip() == "the sum over all outcomes of the guide"
