"""Whether several devices pay: seconds a step on all of them beside seconds a step on one.

Both are measured at the end of training, from the same state, on the same rows. A batch that is small
for its network takes longer on several devices than on one, which adds up no sums of others.
"""

import time
from typing import Any

import jax

from taut.core import Datum
from taut.core.devices import alone, num_devices, on_one
from taut.data import RowSource
from taut.inference import Algorithm, compiled_steps
from taut.training.feeds import feed_of
from taut.training.loop import Loop

__all__ = ["filled_up", "paying"]

_STEPS = 16  # that are timed, three times over
_PAYS = 1.1  # times the speed of one device: less is what a busy machine makes of the same


def filled_up(batch_size: int) -> tuple[str, ...]:
    """A note where the devices do not divide a batch."""
    devices = num_devices()
    filled = -(-batch_size // devices) * devices
    if filled == batch_size:
        return ()
    return (
        f"batches of {batch_size} rows are filled up to {filled} on {devices} devices, by rows that "
        f"have no weight: {max(batch_size // devices, 1) * devices} rows would need none",
    )


def paying(
    algorithm: Algorithm, rows: Datum | RowSource, loop: Loop, state: Any
) -> tuple[str, ...]:
    """A note with the time of a step on the devices of now and on one; none where one is all there is.

    Arguments:
        algorithm: what moved.
        rows: training rows.
        loop: of the training.
        state: of the algorithm; it is not moved.
    """
    devices = num_devices()
    if devices == 1:
        return ()
    together = _seconds_a_step(algorithm, rows, loop, state)
    state = on_one(state)
    with alone():
        single = _seconds_a_step(algorithm, rows, loop, state)
    times = single / together
    verdict = (
        f"{times:.2g} times its speed" if times >= _PAYS else "more than one does not pay here"
    )
    return (
        f"{devices} devices take {1e3 * together:.3g} ms a step, one takes {1e3 * single:.3g} ms: "
        f"{verdict}",
    )


def _seconds_a_step(algorithm: Algorithm, rows: Datum | RowSource, loop: Loop, state: Any) -> float:
    """The least of three measurements, compilation left out."""
    run = compiled_steps(algorithm)
    feed = feed_of(rows, batch_size=loop.batch_size, seed=loop.seed, num_steps=_STEPS)
    supplied, order, count = feed.supply(0, _STEPS)
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        jax.block_until_ready(run(state, supplied, order, count))
        taken.append((time.perf_counter() - began) / count)
    return min(taken[1:])
