"""Minibatches: which rows step t sees, a pure function of the step number.

Epoch e visits the rows in the order pi_e, a random permutation keyed by (seed, e). With B rows per
batch and S = floor(N / B) steps per epoch,

    step t sees the rows pi_e[s B], ..., pi_e[s B + B - 1],        e = floor(t / S),  s = t mod S,

and the N - S B rows at the end of pi_e sit that epoch out; another order leaves out others. Training
therefore resumes at any step with nothing but the step number. Row numbers, not rows, are what this
module deals in, so that `x` may stay on disk.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int32

from taut.data.streams import Stream, permutation, philox
from taut.errors import InputError, option

__all__ = ["batch_indices", "epoch_order", "steps_per_epoch"]


def epoch_order(seed: int, epoch: int, num_rows: int) -> Int32[np.ndarray, " num_rows"]:
    """The order in which `epoch` visits the rows: a permutation of 0..num_rows - 1, read-only.

    It depends on its arguments alone.
    """
    return _cached_order(int(seed), int(epoch), int(num_rows))


def steps_per_epoch(num_rows: int, batch_size: int) -> int:
    """S = floor(N / B).

    Raises:
        InputError: a batch that is empty or larger than the data.
    """
    if not 1 <= batch_size <= num_rows:
        raise InputError(
            f"a batch of 1 to {num_rows} rows, as many as there are",
            str(batch_size),
            f"{option('batch_size', max(num_rows, 1))} or less",
            where=option("batch_size"),
        )
    return num_rows // batch_size


def batch_indices(
    seed: int, first_step: int, num_steps: int, num_rows: int, batch_size: int
) -> Int32[np.ndarray, "num_steps batch_size"]:
    """Positions of the rows that steps first_step, ..., first_step + num_steps - 1 see.

    Arguments:
        seed: a whole number in [0, 2^64).
        first_step: number of the first step, counted from 0 over all epochs.
        num_steps: number of steps, 0 or more; they may run over the ends of epochs.
        num_rows: N.
        batch_size: B, from 1 to N.

    Returns:
        (num_steps, B) positions in the training rows; any way of cutting a range of steps into
        calls gives the same positions.

    Raises:
        InputError: a batch that is empty or larger than the data, or a step below 0.
    """
    per_epoch = steps_per_epoch(num_rows, batch_size)
    if first_step < 0 or num_steps < 0:
        raise InputError(
            "steps counted from 0",
            f"{num_steps} steps from step {first_step}",
            "first_step=0",
            where="first_step",
        )
    indices = np.empty((num_steps, batch_size), dtype=np.int32)
    done = 0
    while done < num_steps:
        epoch, step = divmod(first_step + done, per_epoch)
        count = min(per_epoch - step, num_steps - done)
        rows = epoch_order(seed, epoch, num_rows)[step * batch_size : (step + count) * batch_size]
        indices[done : done + count] = rows.reshape(count, batch_size)
        done += count
    return indices


@lru_cache(maxsize=2)  # a loop of short dispatches asks for the same epoch many times in a row
def _cached_order(seed: int, epoch: int, num_rows: int) -> np.ndarray:
    order = permutation(philox(seed, Stream.EPOCH, epoch), num_rows)
    order.flags.writeable = False
    return order
