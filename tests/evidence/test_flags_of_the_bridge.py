"""Bridge sampling is as reliable as the draws of the posterior that it goes to.

Its own terms at the guide's draws have a bound, and are even where guide and draws are of the same part
of the posterior, however few ancestors those draws have.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from unchecked import types_unchecked

from taut.core import Datum
from taut.evidence import Bridge, khat_threshold
from taut.evidence.draws import RowDraws
from taut.evidence.smc import Drawn

ROWS, DRAWS = 6, 200
DATA = Datum(jnp.zeros(ROWS))


@pytest.fixture
def columns(monkeypatch):
    """From the log-weights of ancestors to the numbers of the rows."""

    def found(by_ancestor) -> Any:
        even = 0.3 * np.random.default_rng(0).standard_normal((ROWS, DRAWS))
        draws = RowDraws(by_ancestor, even, None, np.zeros(ROWS))
        drawn = Drawn(None, np.zeros((ROWS, DRAWS)), even, even)
        monkeypatch.setattr(
            "taut.evidence.bridge.tempered_rows", lambda *_: (drawn, draws, np.ones(ROWS))
        )
        with types_unchecked():
            nothing: Any = None
            return Bridge(DRAWS).columns(nothing, nothing, DATA, nothing, jax.random.key(0))

    return found


def test_heavy_weights_of_the_ancestors_are_told(columns):
    threshold, generator = khat_threshold(DRAWS), np.random.default_rng(1)
    even = columns(0.3 * generator.standard_normal((ROWS, DRAWS)))
    assert (even["khat"] <= threshold).all()
    heavy = columns(1.5 * generator.standard_exponential((ROWS, DRAWS)))  # k = 1.5
    assert (heavy["khat"] > threshold).all()
    np.testing.assert_array_equal(heavy["log_evidence"], even["log_evidence"])
    assert (heavy["log_evidence_error"] > even["log_evidence_error"]).all()


def test_ancestors_whose_weights_are_unknown_leave_it_unknown(columns):
    lost = np.full((ROWS, DRAWS), np.nan)
    assert np.isnan(columns(lost)["khat"]).all()
