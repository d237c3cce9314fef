"""Where draws were moved to the posterior, each number is of these; the guide keeps its own."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unchecked import types_unchecked

from taut.inference.posterior import PosteriorOptions
from taut.inference.posterior.posterior_fit import PosteriorFit
from taut.inference.posterior.refinement import Refinement, TooDear
from taut.inference.posterior.verdict import BELIEVE, DOUBT, Verdict
from taut.inference.posterior.weighted_draws import WeightedDraws

MODULE: Any = sys.modules["taut.inference.posterior.posterior_fit"]
Z, MOVED = np.arange(10.0)[:, None], 100 + np.arange(4.0)[:, None]
OF_GUIDE: Any = {"num_guide": 8, "elbo": "its elbo", "guide_khat": 0.3, "outside": 0.125}
OF_DRAWS: Any = {
    "log_evidence": "theirs", "khat": 0.6, "threshold": 0.65, "largest": 7.0, "ess": 321.0,
}  # fmt: skip


def _own() -> Any:
    """A fit by draws of the guide alone, of which every number is another."""
    draws = WeightedDraws(
        z=Z, weights=np.full(10, 0.1), log_evidence="its own", khat=0.9, threshold=0.7, largest=3.0,
        ess=5.0, **OF_GUIDE,
    )  # fmt: skip
    values, candidate = (
        SimpleNamespace(datum=Z),
        SimpleNamespace(choice=SimpleNamespace(family="laplace")),
    )
    return PosteriorFit(
        values,
        candidate,
        draws,
        "raw",
        "weighed",
        Verdict(DOUBT, ("why",)),
        ("note",),
        {"ascent": 2.0},
    )


def _refined(found: Any, monkeypatch: Any) -> Any:
    monkeypatch.setattr(MODULE, "refine", lambda *_, **__: found)
    return MODULE._refined(_own(), np.random.default_rng(0), PosteriorOptions(num_draws=100))


def test_every_number_is_of_the_draws_that_were_moved(monkeypatch):
    with types_unchecked():
        drawn = SimpleNamespace(
            z=MOVED, weights=np.full(4, 0.25), khat=OF_DRAWS["khat"], largest=OF_DRAWS["largest"]
        )
        verdict = Verdict(BELIEVE, ("they agree",))
        given: Any = {n: OF_DRAWS[n] for n in ("log_evidence", "ess", "threshold")}
        refinement = Refinement(draws=drawn, moments="theirs", verdict=verdict, chains=4, **given)
        found = _refined(refinement, monkeypatch)
    np.testing.assert_array_equal(found.draws.z, np.concatenate([Z[:8], MOVED]))
    np.testing.assert_array_equal(found.draws.weights, np.repeat([0.0, 0.25], [8, 4]))
    kept = found.draws._asdict()
    assert {n: kept.pop(n) for n in OF_DRAWS} == OF_DRAWS
    assert {n: kept.pop(n) for n in OF_GUIDE} == OF_GUIDE
    assert set(kept) == {"z", "weights"}
    assert (found.raw, found.resampled, found.verdict) == ("raw", "theirs", verdict)
    assert found.refinement is refinement
    assert set(found.seconds) == {"ascent", "refining"}


@pytest.mark.parametrize("gave", [TooDear(1e9), None])
def test_without_them_all_is_the_guides(gave, monkeypatch):
    with types_unchecked():
        found, own = _refined(gave, monkeypatch), _own()
    assert found.refinement is None
    assert (found.resampled, found.raw) == (own.resampled, own.raw)
    assert found.draws.khat == own.draws.khat
    assert found.verdict.verdict == DOUBT
    said = " ".join((*found.notes, *found.verdict.reasons))
    assert ("it takes 1e+09 gradients" in said) == (gave is not None)
    assert ("did not reach the posterior" in said) == (gave is None)
