"""Importance sampling of latents that can be enumerated: what is kept is right, what is not is flagged.

The truth is the sum over all outcomes, sum_z q(z) w(z), in NumPy.
"""

import math
from typing import Any

import numpy as np
import pytest

from taut.evidence import khat_threshold, summarize
from taut.evidence.weights import RowWeights

ROWS = 150


def bits(number: int, apart: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """q of independent bits, and log w to a posterior of other log-odds, of every outcome."""
    z = (np.arange(2**number)[:, None] >> np.arange(number)) & 1
    ours = 2 * random.standard_normal(number)
    theirs = ours + apart * random.standard_normal(number)
    log_q, log_p = (
        -(np.logaddexp(0, -o) * z + np.logaddexp(0, o) * (1 - z)).sum(axis=1)
        for o in (ours, theirs)
    )
    return np.exp(log_q), (log_p - log_q).astype(np.float32).astype(float)


def categories(
    number: int, apart: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same of one category."""
    q = random.dirichlet(np.full(number, 0.5))
    return q, apart * random.standard_normal(number)


def drawn(
    make: Any, number: int, apart: float, draws: int
) -> tuple[RowWeights, np.ndarray, np.ndarray]:
    """Of many rows the summary, how far it is off, and whether it is kept."""
    random = np.random.default_rng(number)
    log_w, truth = np.empty((ROWS, draws)), np.empty(ROWS)
    for row in range(ROWS):
        q, log_ratio = make(number, apart, random)
        log_w[row] = log_ratio[random.choice(len(q), draws, p=q / q.sum())]
        truth[row] = np.log(q @ np.exp(log_ratio))
    found = summarize(log_w)
    return found, np.abs(found.log_evidence - truth), found.khat <= khat_threshold(draws)


@pytest.mark.parametrize("make", [bits, categories])
@pytest.mark.parametrize("draws", [100, 1000, 5000])
@pytest.mark.parametrize("number", [2, 4, 8])
def test_a_guide_close_to_the_posterior_is_kept_with_an_error_that_holds(make, draws, number):
    found, off, kept = drawn(make, number, 0.1, draws)
    assert np.mean(~kept) <= 0.1
    # A twentieth of normal errors are above two, and five deviations of their number more.
    beyond = 0.05 + 5 * math.sqrt(0.05 * 0.95 / ROWS)
    assert np.mean(off[kept] > 2 * np.maximum(found.error[kept], 1e-3)) < beyond


@pytest.mark.parametrize("number", [2, 4, 8])
def test_of_a_guide_far_from_the_posterior_no_more_is_kept_than_errors_tell(number):
    found, off, kept = drawn(bits, number, 4.0, 1000)
    assert np.mean(off[kept] > 2 * found.error[kept]) < 0.05 + 5 * math.sqrt(
        0.05 * 0.95 / kept.sum()
    )
    assert np.median(off[~kept]) > 2 * np.median(off[kept])


@pytest.mark.parametrize("share", [0.005, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_part_that_a_few_draws_carry_is_not_known(times, share):
    """Two outcomes; the draws of the rare one carry this share of the evidence."""
    log_w = np.zeros((1, 1000))
    log_w[0, :times] = math.log(share / (1 - share) * (1000 - times) / times)
    found = summarize(log_w)
    assert (found.khat[0] <= khat_threshold(1000)) == (share == 0.005)
    if share == 0.005:
        assert found.error[0] < 0.01


def test_what_is_unseen_weighs_what_was_seen_once():
    """E[sum of q w over outcomes that K - 1 draws miss] = E[sum over those drawn once among K] / K."""
    q = np.random.default_rng(0).dirichlet(np.full(40, 0.3))
    w = np.exp(np.random.default_rng(1).standard_normal(40))
    counts = np.random.default_rng(2).multinomial(100, q, size=200_000)
    once = (counts == 1) @ w / 100
    missed = np.sum(q * w * (1 - q) ** 99)
    assert abs(once.mean() - missed) < 5 * once.std() / math.sqrt(len(once))
