"""Rows are put together by their missing cells so that passes and programs together cost least."""

from itertools import combinations

import numpy as np
import pytest

from taut.inference.exact import row_blocks


def by_enumeration(missing, cost):
    """The least cost of any division of the numbers of missing cells into neighbours."""
    values, counts = np.unique(missing, return_counts=True)

    def of(cuts):
        parts = zip((0, *cuts), (*cuts, len(values)), strict=True)
        return sum(
            counts[a:b].sum() * cost(values[b - 1]) + row_blocks._WORTH_A_PROGRAM for a, b in parts
        )

    places = range(1, len(values))
    return min(of(cuts) for n in range(len(values)) for cuts in combinations(places, n))


@pytest.mark.parametrize("worth", [1, 3_000, 20_000, 10**9])
def test_no_other_groups_cost_less(worth, monkeypatch):
    monkeypatch.setattr(row_blocks, "_WORTH_A_PROGRAM", worth)
    missing = np.random.default_rng(3).binomial(9, 0.3, 400)

    def cost(most):
        return 10 + 3 * most**2

    ranges = row_blocks._ranges(missing, cost)
    assert sorted(m for few, most in ranges for m in np.unique(missing) if few <= m <= most) == (
        np.unique(missing).tolist()
    )
    rows = [np.sum((missing >= few) & (missing <= most)) for few, most in ranges]
    found = sum(n * cost(most) + worth for n, (_, most) in zip(rows, ranges, strict=True))
    assert found == by_enumeration(missing, cost)
    assert (len(ranges) > 1) == (worth < 10**9)
