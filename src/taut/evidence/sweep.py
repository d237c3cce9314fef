"""Long estimates over many rows as (init, step, finish), so that what was killed goes on.

A step is one block of rows of one compiled shape. A row's numbers depend on the key and on the row's
number alone, so that a sweep that goes on from a saved state ends with the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from taut.core import Datum, num_rows, padded_block
from taut.core.kept_rows import kept_rows
from taut.evidence.importance import Evidence

__all__ = ["Sweep", "SweepState", "run", "sweep"]


class SweepState(NamedTuple):
    """All progress, in arrays.

    Attributes:
        done: number of rows whose numbers are there, ().
        columns: of every row, each with a leading axis N; NaN where they are still to come.
    """

    done: np.ndarray
    columns: dict[str, np.ndarray]


class Sweep(NamedTuple):
    """How a state is started, moved on by one block of rows, and read.

    Attributes:
        init: () -> state without any row.
        step: state -> state with one block more; pure.
        finish: state of all rows -> what was asked for.
        num_rows: N; the sweep is over when as many are done.
    """

    init: Callable[[], SweepState]
    step: Callable[[SweepState], SweepState]
    finish: Callable[[SweepState], Evidence]
    num_rows: int


def sweep(
    program: Callable[[Datum, Any], dict[str, Any]],
    rows: Datum,
    *,
    width: int,
    columns: Sequence[str],
    finish: Callable[[dict[str, np.ndarray]], Evidence],
) -> Sweep:
    """A sweep of a program over blocks of rows.

    Arguments:
        program: from a block and the numbers of its rows to the columns' entries for the block.
        rows: a batched datum.
        width: rows in a block, the last one filled up.
        columns: names of what the program returns.
        finish: from all columns to what was asked for.
    """
    num = num_rows(rows)
    width = min(width, num)

    def init() -> SweepState:
        return SweepState(np.asarray(0), {name: np.full(num, np.nan) for name in columns})

    def step(state: SweepState) -> SweepState:
        first = int(state.done)
        block, numbers = padded_block(rows, first, width=width)
        kept = min(width, num - first)
        found = program(block, numbers)
        moved = {name: column.copy() for name, column in state.columns.items()}
        for name, column in moved.items():
            column[first : first + kept] = np.asarray(found[name], np.float64)[:kept]
        return SweepState(np.asarray(first + kept), moved)

    return Sweep(init, step, lambda state: finish(state.columns), num)


def run(sweep: Sweep) -> Evidence:
    """A sweep from its beginning to its end."""

    def blocks(begin: int) -> Iterator[dict[str, np.ndarray]]:
        state = sweep.init()._replace(done=np.asarray(begin))
        while state.done < sweep.num_rows:
            first, state = int(state.done), sweep.step(state)
            yield {name: column[first : int(state.done)] for name, column in state.columns.items()}

    columns = kept_rows(blocks, sweep.num_rows)
    return sweep.finish(SweepState(np.asarray(sweep.num_rows), columns))
