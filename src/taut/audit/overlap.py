"""How far the posteriors of rows overlap, and who their neighbours are.

    r_n(z) = q(z | x_n) / sum_m q(z | x_m),        exp E[-log r_n(z)] = N exp(-I_q[x, z])

is the effective number of rows that a draw cannot tell apart: 1 where posteriors are disjoint, N where
they are all the same. Beside it stand the share of draws under which a row m, drawn at random, has the
larger density, q(z | x_m) > q(z | x_n), and of each row the one whose posterior is closest to its own,
the m of the least KL(q(n) to q(m)).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from taut.audit.surgery import Surgery
from taut.core import Estimate, check_count

__all__ = ["Neighbour", "Overlap", "overlap"]

_SHOWN = 5


class Neighbour(NamedTuple):
    """A row, the row whose posterior is closest to its own, and KL(q(row) to q(other)) in nats.

    The divergence is an average over few draws, which may be below zero by chance.
    """

    row: int
    other: int
    divergence: float


@dataclass(frozen=True)
class Overlap:
    """How hard rows are to tell apart by their draws.

    Attributes:
        effective_rows: N exp(-I_q), rows; an upper bound where the mutual information is a lower one.
        larger_elsewhere: share of draws with a larger density under another row, drawn at random.
        neighbours: of every row that was drawn for, in the order of the rows.
    """

    effective_rows: Estimate
    larger_elsewhere: Estimate
    neighbours: tuple[Neighbour, ...]

    def nearest(self, count: int = _SHOWN) -> tuple[Neighbour, ...]:
        """The rows that are closest to another one."""
        wish = "a number of rows of at least 0"
        count = check_count(count, wish, f"{_SHOWN}", where="count", least=0)
        return tuple(sorted(self.neighbours, key=lambda n: n.divergence)[:count])


def overlap(found: Surgery) -> Overlap:
    """Read the overlap off the densities that the surgery has taken.

    Its errors are those of the mutual information times the number of rows, to first order.
    """
    drawn, among, information = found.drawn, found.among, found.mutual_information
    rows = math.exp(found.ceiling - information.value)
    share, error = drawn.averaged(among.above / among.num_others[:, None])
    own, _ = drawn.averaged(drawn.log_q)
    neighbours = (
        Neighbour(int(row), int(other), float(divergence))
        for row, other, divergence in zip(
            drawn.numbers, among.closest, own - among.closest_log_q, strict=True
        )
    )
    swapped = {"lower": "upper"}.get(information.side, "none")
    return Overlap(
        Estimate(
            value=rows,
            side="upper" if swapped == "upper" else "exact" if information.side == "exact" else "none",
            mc_error=rows * information.mc_error,
            data_error=rows * information.data_error,
            count=information.count,
            unit="rows",
        ),
        Estimate.from_rows(
            share, side="exact" if drawn.exhaustive else "unbiased", mc_errors=np.asarray(error),
            index=drawn.numbers, unit="of draws",
        ),
        tuple(neighbours),
    )  # fmt: skip
