"""An estimate is unreliable where more than a twentieth of its rows have a k-hat above the threshold."""

import math
from typing import Any

import jax
import numpy as np
import pytest

from taut.architectures import PPCA
from taut.core import Datum
from taut.data import Schema
from taut.evidence import importance, khat_threshold
from taut.evidence.draws import RowDraws
from taut.evidence.weights import RowWeights

ROWS, DRAWS = 40, 1000
SCHEMA = Schema(name="t", kind="table", shape=(2,), support="real")
HIGH = khat_threshold(DRAWS)


@pytest.fixture
def found(monkeypatch) -> Any:
    """k-hats of the rows -> the evidence that is made of them."""
    model, guide = PPCA(components=1).init(SCHEMA, jax.random.key(0)).bind()
    nothing = np.zeros((ROWS, 2))

    def evidence(khat: list[float]) -> importance.Evidence:
        blocks = [np.asarray(khat)[:16], np.asarray(khat)[16:]]  # as many as blocks of rows
        shapes = iter(blocks)

        def summary(log_w: Any, log_mass: Any = None) -> RowWeights:
            values = next(shapes)
            ones = np.ones(len(values))
            return RowWeights(-ones, ones, ones, values, ones)

        def draws(*_: Any, **__: Any) -> Any:
            for block in blocks:
                even = nothing[: len(block)]
                yield RowDraws(even, even, None, np.zeros(len(block)))

        monkeypatch.setattr(importance, "summarize", summary)
        monkeypatch.setattr(importance, "weighted_draws", draws)
        rows = Datum(np.zeros((ROWS, 2), np.float32), index=100 + np.arange(ROWS))
        return importance.weigh(model, guide, rows, key=jax.random.key(0), num_particles=DRAWS)

    return evidence


def _khats(number: int, value: float, others: float = 0.1) -> list[float]:
    """So many rows with that k-hat, spread over the blocks."""
    khat = np.full(ROWS, others)
    khat[np.linspace(0, ROWS - 1, number).astype(int)] = value
    return khat.tolist()


# k-hats -> the share of rows that is called unreliable, and whether the estimate is.
CASES: dict[str, tuple[list[float], float, bool]] = {
    "none": (_khats(0, 1.0), 0.0, False),
    "a twentieth": (_khats(2, HIGH + 1e-9), 0.05, False),
    "one more": (_khats(3, HIGH + 1e-9), 0.075, True),
    "ties": (_khats(40, HIGH), 0.0, False),
    "below": (_khats(40, HIGH - 1e-9), 0.0, False),
    "without end": (_khats(3, math.inf), 0.075, True),
    "constant weights": (_khats(40, -math.inf), 0.0, False),
    "not fitted": (_khats(40, math.nan), 1.0, True),
    "two not fitted": (_khats(2, math.nan), 0.05, False),
    "three not fitted": (_khats(3, math.nan), 0.075, True),
    "all": (_khats(40, 2.0), 1.0, True),
}


@pytest.mark.parametrize("name", CASES)
def test_both_sides_of_the_share_and_of_the_threshold(name, found):
    khat, share, unreliable = CASES[name]
    evidence = found(khat)
    assert evidence.share_unreliable == pytest.approx(share)
    assert ("unreliable" in evidence.log_evidence.flags) == unreliable
    assert math.isnan(evidence.log_evidence.mc_error) == unreliable
    assert evidence.unreliable.sum() == round(share * ROWS)
    assert not evidence.elbo.flags
    assert evidence.khat_threshold == HIGH


def test_the_worst_rows_are_named_by_their_numbers_in_the_data_set(found):
    khat = np.full(ROWS, 0.1)
    khat[[3, 17, 39]] = 0.9, math.inf, 0.8
    khat[5] = math.nan
    worst = found(khat.tolist()).worst_rows(4)
    assert worst[0][0] == 105  # not known to be below the threshold: it counts as above every one
    assert math.isnan(worst[0][1])
    assert worst[1:] == [(117, math.inf), (103, 0.9), (139, 0.8)]


def test_an_unreliable_row_is_worse_than_every_reliable_one(found):
    for khat, *_ in CASES.values():
        evidence = found(khat)
        number = int(evidence.unreliable.sum())
        worst = {row for row, _ in evidence.worst_rows(number)}
        assert worst == set(evidence.index[evidence.unreliable].tolist())


@pytest.mark.parametrize(("name", "value"), [("_TRUSTED_SHARE", 0.04), ("_TRUSTED_SHARE", 0.1)])
def test_another_share_is_caught(name, value, found, monkeypatch):
    monkeypatch.setattr(importance, name, value)
    assert any(
        ("unreliable" in found(khat).log_evidence.flags) != unreliable
        for khat, _, unreliable in CASES.values()
    )
